import { type RunningApp, start } from 'millrace'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hasPostgres, PostgresServer } from '../server.ts'
import { type Capture, changesOf, createStock, poolOf, stockApp } from './stock-table.ts'

let server: PostgresServer
let pool: pg.Pool
let tables = 0
const running: RunningApp[] = []

beforeAll(async () => {
  if (!hasPostgres) return
  server = await PostgresServer.start(['wal_level=logical', 'max_replication_slots=50', 'max_wal_senders=50'])
  pool = poolOf(server.url())
}, 60_000)

afterEach(async () => {
  for (const each of running.splice(0)) await each.stop()
})

afterAll(async () => {
  await pool?.end()
  await server?.remove()
})

async function newTable(): Promise<string> {
  tables += 1
  await createStock(pool, `stock_${tables}`)
  return `stock_${tables}`
}

async function run(log: string, options: Parameters<typeof stockApp>[0]): Promise<RunningApp> {
  const started = await start(stockApp(options).application, { log, partitions: 4 })
  running.push(started)
  return started
}

const rowOf = (sku: string, left: number, price = '1.50') => ({ sku, left, price })

for (const capture of ['triggers', 'replication'] satisfies Capture[]) {
  describe.runIf(hasPostgres)(`changes of a table, by ${capture}`, () => {
    /** Waits until the log has so many changes, then gives those of each row. */
    async function changes(from: RunningApp, count: number) {
      await expect.poll(async () => (await changesOf(from)).length, { timeout: 20_000 }).toBe(count)
      const byKey = new Map<string, unknown[]>()
      for (const { type, key, data } of await changesOf(from)) {
        byKey.set(key, [...(byKey.get(key) ?? []), [type, data.before, data.after]])
      }
      return Object.fromEntries(byKey)
    }

    it('are events with the row before and after, in the order of each row, and reach handlers', async () => {
      const table = await newTable()
      const log = server.url()
      const { application, watchStock } = stockApp({ table, from: 'now', capture })
      const started = await start(application, { log, partitions: 4 })
      running.push(started)
      await untilFollowed(table)
      await pool.query(`insert into ${table} values ('tea', 10, 1.50), ('cup', 5, 2)`)
      await pool.query(`update ${table} set "left" = "left" - 1`)
      await pool.query(`delete from ${table} where sku = 'cup'`)
      expect(await changes(started, 5)).toEqual({
        tea: [
          ['stock.inserted', null, rowOf('tea', 10)],
          ['stock.updated', rowOf('tea', 10), rowOf('tea', 9)],
        ],
        cup: [
          ['stock.inserted', null, rowOf('cup', 5, '2.00')],
          ['stock.updated', rowOf('cup', 5, '2.00'), rowOf('cup', 4, '2.00')],
          ['stock.deleted', rowOf('cup', 4, '2.00'), null],
        ],
      })
      await started.settled()
      expect(await started.read(watchStock, 'tea')).toEqual({ seen: 2 })
    }, 40_000)

    it('begin with the rows that are there, or without them', async () => {
      for (const from of ['start', 'now'] as const) {
        const table = await newTable()
        await pool.query(`insert into ${table} values ('old', 1, 1)`)
        const started = await run(server.url(), { table, from, capture })
        await untilFollowed(table)
        await pool.query(`insert into ${table} values ('new', 2, 1)`)
        const read = from === 'start' ? { old: [['stock.read', null, rowOf('old', 1, '1.00')]] } : {}
        const expected = { ...read, new: [['stock.inserted', null, rowOf('new', 2, '1.00')]] }
        expect(await changes(started, Object.keys(expected).length)).toEqual(expected)
      }
    }, 40_000)

    it('are none when they are rolled back, and all at once when they are committed', async () => {
      const table = await newTable()
      const started = await run(server.url(), { table, from: 'now', capture })
      await untilFollowed(table)
      const client = await pool.connect()
      for (const end of ['rollback', 'commit']) {
        await client.query('begin')
        await client.query(`insert into ${table} values ($1, 1, 1)`, [end])
        await client.query(`update ${table} set "left" = 2`)
        await client.query(end)
      }
      client.release()
      expect(Object.keys(await changes(started, 2))).toEqual(['commit'])
    }, 40_000)

    it('of a key are a row that is gone and one that is new', async () => {
      const table = await newTable()
      const started = await run(server.url(), { table, from: 'now', capture })
      await untilFollowed(table)
      await pool.query(`insert into ${table} values ('a', 1, 1)`)
      await pool.query(`update ${table} set sku = 'b'`)
      expect(await changes(started, 3)).toEqual({
        a: [
          ['stock.inserted', null, rowOf('a', 1, '1.00')],
          ['stock.deleted', rowOf('a', 1, '1.00'), null],
        ],
        b: [['stock.inserted', null, rowOf('b', 1, '1.00')]],
      })
    }, 40_000)

    it('that do not match the schema are kept as refused, with the reason, and hold up nothing', async () => {
      const table = await newTable()
      const started = await run(server.url(), { table, from: 'now', capture })
      await untilFollowed(table)
      await pool.query(`alter table ${table} alter "left" type double precision`)
      await pool.query(`insert into ${table} values ('half', 0.5, 1), ('whole', 1, 1)`)
      await expect.poll(async () => (await changesOf(started)).length, { timeout: 20_000 }).toBe(2)
      const found = (await changesOf(started)).toSorted((left, right) => (left.key < right.key ? -1 : 1))
      expect(found).toMatchObject([
        {
          type: 'stock.refused',
          key: 'half',
          data: {
            kind: 'inserted',
            after: { sku: 'half', left: 0.5 },
            error: { code: 'DATA_INVALID', where: 'data.after.left' },
          },
        },
        { type: 'stock.inserted', key: 'whole' },
      ])
    }, 40_000)

    it('go on where they were, with what happened while nobody looked', async () => {
      const table = await newTable()
      const log = server.url()
      const options = { table, from: 'now', capture } as const
      const first = await run(log, options)
      await untilFollowed(table)
      await pool.query(`insert into ${table} values ('a', 1, 1)`)
      await changes(first, 1)
      await first.stop()
      await pool.query(`update ${table} set "left" = 2`)
      const second = await run(log, options)
      await pool.query(`update ${table} set "left" = 3`)
      const { a } = await changes(second, 3)
      expect(a?.map((change) => (change as [string, unknown, { left: number }])[2].left)).toEqual([1, 2, 3])
    }, 40_000)

    it('come into a log of another engine, when the database is named', async () => {
      const table = await newTable()
      const database = server.url().replace(/\?.*/, `?schema=of_${table}`)
      const started = await run('memory:', { table, from: 'now', database, capture })
      await untilFollowed(table)
      await pool.query(`insert into ${table} values ('a', 1, 1)`)
      expect(Object.keys(await changes(started, 1))).toEqual(['a'])
    }, 40_000)

    it('of a table that is not there yet begin once it is', async () => {
      const table = `stock_${++tables}`
      const warnings: string[] = []
      const warn = (_fields: object, message: string) => void warnings.push(message)
      const logger = { debug() {}, info() {}, warn, error: warn }
      const { application } = stockApp({ table, from: 'start', capture })
      const started = await start(application, { log: server.url(), partitions: 4, logger })
      running.push(started)
      await expect.poll(() => warnings.join()).toContain('There is no such table')
      await createStock(pool, table)
      await pool.query(`insert into ${table} values ('a', 1, 1)`)
      expect(Object.keys(await changes(started, 1))).toEqual(['a'])
    }, 40_000)
  })
}

/** Resolves once changes of a table are captured. */
async function untilFollowed(table: string): Promise<void> {
  const text = `select exists (select 1 from pg_trigger where tgrelid = $1::text::regclass and tgname like 'millrace%')
    or exists (select 1 from pg_publication_tables p join pg_replication_slots s on s.slot_name = p.pubname
      join pg_stat_replication r on r.pid = s.active_pid and r.state = 'streaming'
      where p.tablename = $1::text) as followed`
  await expect
    .poll(async () => (await pool.query(text, [table])).rows[0].followed, { timeout: 20_000 })
    .toBe(true)
}
