import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type RunningApp, start } from 'millrace'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { encodeEvent } from '../../../../src/core/event-codec.ts'
import { realRuntime } from '../../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../../src/engines/postgres/postgres-engine.ts'
import type { RefusedEntry } from '../../../../src/log/port.ts'
import { SeededRandom } from '../../../../src/testing/random.ts'
import { hasPostgres, PostgresServer } from '../server.ts'
import {
  AccountChanged,
  bank,
  changesIn,
  createAccounts,
  noLimits,
  poolOn,
  untilMoved,
} from './order-table.ts'

const program = fileURLToPath(new URL('bank-process.ts', import.meta.url))
const accounts = Array.from({ length: 10 }, (_, index) => `account-${index}`)
const runtime = realRuntime()

let server: PostgresServer
let log: string
let table: string
let pool: pg.Pool

beforeAll(async () => {
  if (hasPostgres) server = await PostgresServer.start()
}, 60_000)

afterAll(() => server?.remove())

beforeEach(async () => {
  if (!hasPostgres) return
  log = server.url()
  table = `accounts_${new URL(log).searchParams.get('schema')}`
  pool = poolOn(log, 24)
  pool.on('error', () => undefined)
  await createAccounts(pool, table, accounts)
})

afterEach(() => pool?.end())

/** Changes an account and publishes that, in one transaction; `end` is how it ends. */
async function change(running: RunningApp, account: string, end: 'commit' | 'rollback'): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const text = `update ${table} set nth = nth + 1 where account = $1 returning account, nth`
    const { rows } = await client.query(text, [account])
    await running.publishIn(client, AccountChanged, rows[0])
    await client.query(end)
  } finally {
    client.release()
  }
}

/** Every change of every row is in the log once, and in the order of the row. */
async function expectWhole(running: RunningApp): Promise<number> {
  await untilMoved(pool, log)
  const { rows } = await pool.query(`select account, nth from ${table} where nth > 0`)
  const changes = await changesIn(running.engine)
  for (const { account, nth } of rows) {
    expect(changes.get(account)).toEqual(Array.from({ length: nth }, (_, index) => index + 1))
  }
  expect(changes.size).toBe(rows.length)
  return rows.reduce((sum, { nth }) => sum + nth, 0)
}

describe.runIf(hasPostgres)('what transactions publish comes into the log', () => {
  it('once and in the order of the row that they change, with 24 at a time and two processes that move it', async () => {
    const both = [await start(bank, { log, partitions: 4 }), await start(bank, { log })] as const
    const random = new SeededRandom(1, 'transactions')
    const plan = Array.from({ length: 2000 }, () => ({
      running: both[random.below(2)] ?? both[0],
      account: accounts[random.below(accounts.length)] ?? '',
      end: random.below(5) === 0 ? ('rollback' as const) : ('commit' as const),
    }))
    await Promise.all(plan.map(({ running, account, end }) => change(running, account, end)))
    expect(await expectWhole(both[0])).toBe(plan.filter(({ end }) => end === 'commit').length)
    for (const running of both) await running.stop()
  }, 120_000)

  it('also when a transaction has been open for long: it holds nobody up, and comes when it is committed', async () => {
    const running = await start(bank, { log, partitions: 1 })
    const slow = await pool.connect()
    await slow.query('begin')
    await running.publishIn(slow, AccountChanged, { account: 'slow', nth: 1 })
    for (let nth = 0; nth < 20; nth += 1) await change(running, 'account-0', 'commit')
    await running.publish(AccountChanged, { account: 'direct', nth: 1 })
    await untilMoved(pool, log)
    await slow.query('commit')
    slow.release()
    await untilMoved(pool, log)
    const { records } = await running.engine.read({ topic: 'bank', partition: 0 }, 0, noLimits)
    const last = JSON.parse(Buffer.from(records.at(-1)?.value ?? []).toString())
    expect(last.data).toEqual({ account: 'slow', nth: 1 })
    expect(records).toHaveLength(22)
    await running.stop()
  }, 60_000)

  it('when nobody was there at the time: whoever opens the log next moves it', async () => {
    const running = await start(bank, { log, partitions: 1 })
    const client = await pool.connect()
    await client.query('begin')
    await running.publishIn(client, AccountChanged, { account: 'late', nth: 1 })
    await running.stop()
    await client.query('commit')
    client.release()
    const next = await start(bank, { log })
    await untilMoved(pool, log)
    expect((await changesIn(next.engine)).get('late')).toEqual([1])
    await next.stop()
  }, 60_000)

  it('once, when those who publish and those who move are killed at any moment', async () => {
    const running = await start(bank, { log, partitions: 4 })
    const random = new SeededRandom(2, 'kills')
    const startProcess = async (): Promise<ChildProcess> => {
      const args = ['-C', 'millrace-source', program, log, table, ...accounts]
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
      if (child.stdout === null) throw new Error('the process has no output')
      await once(createInterface({ input: child.stdout }), 'line')
      return child
    }
    const inLog = async () => [...(await changesIn(running.engine)).values()].flat().length
    for (let round = 0; round < 4; round += 1) {
      const children = await Promise.all([startProcess(), startProcess()])
      const wanted = (await inLog()) + 50 + random.below(200)
      await expect.poll(inLog, { timeout: 30_000, interval: 20 }).toBeGreaterThan(wanted)
      for (const child of children) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    expect(await expectWhole(running)).toBeGreaterThan(200)
    await running.stop()
  }, 120_000)

  it('and then every process rests: nothing is asked of the server while nothing is published', async () => {
    const engines = await Promise.all([1, 2].map(() => openPostgres(log, { runtime, leaseMs: 600_000 })))
    const running = await start(bank, { log: engines[0] as (typeof engines)[0] })
    await Promise.all(accounts.map((account) => change(running, account, 'commit')))
    await expectWhole(running)
    const name = `millrace ${new URL(log).searchParams.get('schema')}`
    const restedFor = async () => {
      const text = `select extract(epoch from clock_timestamp() - max(state_change))::double precision as seconds
        from pg_stat_activity where application_name = $1 and state = 'idle'`
      return (await pool.query(text, [name])).rows[0].seconds
    }
    await expect.poll(restedFor, { timeout: 20_000 }).toBeGreaterThan(3)
    await running.stop()
    await Promise.all(engines.map((engine) => engine.close()))
  }, 60_000)
})

describe.runIf(hasPostgres)('what the log refuses', () => {
  const entryOf = (id: string, data: unknown, topic = 'bank') => ({
    ...{ topic, partition: 0, timeMs: 1, deduplicationId: id },
    value: encodeEvent({
      specversion: '1.0',
      id,
      source: 's',
      type: 't',
      time: '2026-01-01T00:00:00Z',
      data,
    }),
  })

  async function enter(
    engine: Awaited<ReturnType<typeof openPostgres>>,
    ...ids: [string, unknown, string?][]
  ) {
    const client = await pool.connect()
    await client.query('begin')
    await engine.outbox?.enter(
      client,
      ids.map(([id, data, topic]) => entryOf(id, data, topic)),
    )
    await client.query('commit')
    client.release()
  }

  it('is kept aside with its error, and told; what is behind it comes into the log', async () => {
    const engine = await openPostgres(log, { runtime, partitions: 1 })
    const refused: RefusedEntry[] = []
    engine.outbox?.onRefused((entry) => refused.push(entry))
    await engine.createTopic('bank', {})
    await enter(engine, ['a', 1], ['a', 2], ['b', 1, 'gone'], ['c', 1])
    await untilMoved(pool, log)
    await expect.poll(() => refused.length).toBe(2)
    expect(refused.map(({ error }) => error)).toMatchObject([
      { code: 'ID_REUSED' },
      { code: 'TOPIC_UNKNOWN' },
    ])
    const { records } = await engine.read({ topic: 'bank', partition: 0 }, 0, noLimits)
    expect(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()).id)).toEqual(['a', 'c'])
    const schema = new URL(log).searchParams.get('schema')
    const kept = await pool.query(
      `select deduplication_id as id, code from ${schema}.outbox_refused order by sequence`,
    )
    expect(kept.rows).toEqual([
      { id: 'a', code: 'ID_REUSED' },
      { id: 'b', code: 'TOPIC_UNKNOWN' },
    ])
    await engine.close()
  })

  it('because it is full waits in its order, and comes when there is room', async () => {
    const small = await openPostgres(log, { runtime, partitions: 1, maxBytes: 1000 })
    await small.createTopic('bank', {})
    await enter(small, ['a', 'x'.repeat(700)], ['b', 'x'.repeat(700)], ['c', 1])
    await expect.poll(async () => (await small.bounds({ topic: 'bank', partition: 0 })).end).toBe(1)
    const waiting = `select count(*)::integer as count from ${new URL(log).searchParams.get('schema')}.outbox`
    expect((await pool.query(waiting)).rows).toEqual([{ count: 2 }])
    await small.trim({ topic: 'bank', partition: 0 }, { before: 1 })
    await untilMoved(pool, log)
    const { records } = await small.read({ topic: 'bank', partition: 0 }, 1, noLimits)
    expect(records.map(({ value }) => JSON.parse(Buffer.from(value).toString()).id)).toEqual(['b', 'c'])
    await small.close()
  }, 30_000)
})
