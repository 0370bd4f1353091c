import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { start } from 'millrace'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { SeededRandom } from '../../../../src/testing/random.ts'
import { allEngines } from '../../all-logs.ts'
import { hasPostgres, PostgresServer } from '../server.ts'
import { changesOf, createStock, type Logged, poolOf, stockApp } from './stock-table.ts'

/**
 * The goal: whenever the process that takes in changes dies, and whoever changes the table at the time, no change is lost, none is there
 * twice, and those of a row are in their order. The method: rows are changed by many at once, also back, while processes of the
 * application are killed with SIGKILL at seeded moments. Then every row's changes must be a chain, each beginning where the one
 * before has ended, from nothing to what is in the table.
 */

const program = fileURLToPath(new URL('taking-process.ts', import.meta.url))
const skus = Array.from({ length: 12 }, (_, index) => `sku-${index}`)

let server: PostgresServer
let pool: pg.Pool

beforeAll(async () => {
  if (!hasPostgres) return
  server = await PostgresServer.start(['wal_level=logical', 'max_replication_slots=50', 'max_wal_senders=50'])
  pool = poolOf(server.url())
}, 60_000)

afterAll(async () => {
  await pool?.end()
  await server?.remove()
})

/** Changes rows at random, until it is told to end: in transactions of some statements, of which some are rolled back. */
async function changeRows(table: string, seed: number, ended: () => boolean): Promise<void> {
  const random = new SeededRandom(seed, 'rows')
  const client = await pool.connect()
  const statements = [
    `insert into ${table} values ($1, 1, 1) on conflict (sku) do update set "left" = ${table}.left + 1`,
    `update ${table} set "left" = "left" + 10 where sku = $1`,
    `update ${table} set price = price + 1 where sku = $1`,
    `delete from ${table} where sku = $1`,
  ]
  while (!ended()) {
    await client.query('begin')
    // In one order, so that nobody waits in a circle.
    const chosen = [
      ...new Set(Array.from({ length: 1 + random.below(3) }, () => random.below(skus.length))),
    ].sort((a, b) => a - b)
    for (const index of chosen) await client.query(statements[random.below(4)] ?? '', [skus[index]])
    await client.query(random.below(5) === 0 ? 'rollback' : 'commit')
    await client.query('select pg_sleep(0.002)')
  }
  client.release()
}

/** The rows that are left by changes, by their keys. */
function leftBy(changes: readonly Logged[]): Readonly<Record<string, unknown>> {
  const ends = new Map(changes.map(({ key, data }) => [key, data.after]))
  return Object.fromEntries([...ends].filter(([, after]) => after !== null))
}

async function startProcess(args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, ['-C', 'millrace-source', program, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  if (child.stdout === null) throw new Error('the process has no output')
  await once(createInterface({ input: child.stdout }), 'line')
  return child
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const persistent = allEngines.filter((engine) => engine.persistent && engine.isHere)

for (const capture of ['triggers', 'replication'] as const) {
  for (const engine of persistent) {
    describe.runIf(hasPostgres)(`changes of a table, by ${capture}, into ${engine.name}`, () => {
      it('are lost or doubled by no kill', async () => {
        const servers = await engine.start()
        onTestFinished(() => servers.remove())
        const log = servers.newLog()
        const table = `stock_${capture}_${engine.name.toLowerCase().replace(/\W+/g, '_')}`
        const database = server.url()
        await createStock(pool, table)
        await pool.query(`insert into ${table} select unnest($1::text[]), 1, 1`, [skus.slice(0, 4)])
        let ended = false
        onTestFinished(() => {
          ended = true
        })
        const changing = Promise.all([1, 2, 3, 4].map((seed) => changeRows(table, seed, () => ended)))
        const random = new SeededRandom(7, 'kills')
        for (let round = 0; round < 4; round += 1) {
          const child = await startProcess([log, table, database, capture])
          await pool.query('select pg_sleep($1::double precision / 1000)', [100 + random.below(900)])
          await kill(child)
        }
        const { application } = stockApp({ table, from: 'start', database, capture })
        const running = await start(application, { log })
        // On a busy machine those that were killed may have come to nothing.
        await expect
          .poll(async () => (await changesOf(running)).length, { timeout: 60_000 })
          .toBeGreaterThan(200)
        ended = true
        await changing
        await pool.query(`insert into ${table} values ('last', 1, 1)`)
        const { rows } = await pool.query(`select sku, "left", price from ${table}`)
        const there = Object.fromEntries(rows.map((row) => [row.sku, row]))
        // What is taken in together comes to its partitions side by side, so that none tells of the others.
        await expect.poll(async () => leftBy(await changesOf(running)), { timeout: 60_000 }).toEqual(there)
        const found = await changesOf(running)
        const ends = new Map<string, unknown>()
        for (const { type, key, data } of found) {
          expect(['read', 'inserted', 'updated', 'deleted'].map((kind) => `stock.${kind}`)).toContain(type)
          expect(data.before, `${type} of ${key}`).toEqual(ends.get(key) ?? null)
          ends.set(key, data.after)
        }
        expect(leftBy(found)).toEqual(there)
        await running.stop()
      }, 150_000)
    })
  }
}
