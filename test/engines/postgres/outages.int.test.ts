import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import type { Claim, LogEngine } from '../../../src/log/port.ts'
import { freePort } from '../free-port.ts'
import { administer } from './administer.ts'
import { CuttingProxy } from './cutting-proxy.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const at = { topic: 'orders', partition: 0 }
const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }
const runtime = realRuntime()

let server: PostgresServer
let url: string

beforeAll(async () => {
  if (hasPostgres) server = await PostgresServer.start()
}, 60_000)

afterAll(() => server?.remove())

beforeEach(() => {
  if (hasPostgres) url = server.url()
})

const entryOf = (text: string) => ({ ...at, value: Buffer.from(text), timeMs: 1 })

async function textsIn(engine: LogEngine): Promise<string[]> {
  const { records } = await engine.read(at, 0, noLimits)
  return records.map(({ value }) => Buffer.from(value).toString())
}

async function claimOf(engine: LogEngine): Promise<{ claim: Claim; next: Promise<Claim> }> {
  const claims: Claim[] = []
  let given: (claim: Claim) => void = () => undefined
  const next = new Promise<Claim>((resolve) => (given = resolve))
  await engine.join('group', { id: 'member' }, (claim) => {
    claims.push(claim)
    if (claims.length > 1) given(claim)
  })
  const [claim] = claims
  if (claim === undefined) throw new Error('no claim was given')
  return { claim, next }
}

describe.runIf(hasPostgres)('a connection that is lost during a commit', () => {
  let proxy: CuttingProxy
  let engine: LogEngine

  beforeEach(async () => {
    proxy = await CuttingProxy.start(server.port)
    engine = await openPostgres(proxy.through(url), { runtime, partitions: 1 })
    await engine.createTopic(at.topic, {})
  })

  afterEach(async () => {
    await engine.close()
    await proxy.close()
  })

  it.for(['before the commit', 'after the commit'] as const)(
    'costs nothing and doubles nothing when it is cut %s',
    async (cut) => {
      const { claim } = await claimOf(engine)
      proxy.cut = cut
      const [appended] = await engine.append([entryOf('appended')])
      expect(proxy.cut).toBeUndefined()
      expect(appended).toMatchObject({ offset: 0, duplicate: false })
      proxy.cut = cut
      const puts = [{ key: 'key', value: Buffer.from('value') }]
      await claim.commit({ puts, deletes: [], appends: [entryOf('committed')] })
      expect(proxy.cut).toBeUndefined()
      expect(await textsIn(engine)).toEqual(['appended', 'committed'])
      expect(await claim.get(['key'])).toEqual([new Uint8Array(Buffer.from('value'))])
    },
  )

  it('has nothing written by what comes to the server only after it was found out that nothing was', async () => {
    proxy.cut = 'late'
    expect(await engine.append([entryOf('once')])).toMatchObject([{ offset: 0, duplicate: false }])
    await proxy.sendLate()
    await engine.append([entryOf('next')])
    expect(await textsIn(engine)).toEqual(['once', 'next'])
  })

  it('is waited for by who looks what became of it while its session waits for others', async () => {
    const waiting = `select count(*)::integer as sessions from pg_stat_activity
      where application_name = 'millrace ${new URL(url).searchParams.get('schema')}' and wait_event_type = 'Lock'`
    const other = new pg.Client({ connectionString: url.replace(/\?.*/, '') })
    await other.connect()
    try {
      await other.query('begin')
      await other.query(`select from "${new URL(url).searchParams.get('schema')}".place for update`)
      const appending = engine.append([entryOf('once')])
      await expect.poll(() => administer(url, waiting)).toEqual([{ sessions: 1 }])
      proxy.cutAll()
      await expect.poll(() => administer(url, waiting)).toEqual([{ sessions: 2 }])
      await other.query('commit')
      expect(await appending).toMatchObject([{ offset: 0, duplicate: false }])
      expect(await textsIn(engine)).toEqual(['once'])
    } finally {
      await other.end()
    }
  })

  it('is not taken for a success when nobody can know, and then says so', async () => {
    proxy.cut = 'after the commit'
    proxy.whenCut = async () => void (await administer(url, 'delete from writer'))
    await expect(engine.append([entryOf('stored')])).rejects.toMatchObject({
      code: 'UNREACHABLE',
      facts: { outcome: 'unknown' },
    })
    await engine.append([entryOf('next')])
    expect(await textsIn(engine)).toEqual(['stored', 'next'])
  })
})

describe.runIf(hasPostgres)('a claim that others have taken, unknown to its owner', () => {
  it('can neither commit nor read, and nothing of its commit is stored', async () => {
    const engine = await openPostgres(url, { runtime, partitions: 3 })
    await engine.createTopic(at.topic, {})
    const claims: Claim[] = []
    await engine.join('group', { id: 'member' }, (claim) => claims.push(claim))
    const [committing, getting, ranging] = claims
    await administer(url, "update claim set epoch = epoch + 1, member_id = 'somebody else'")
    const change = {
      puts: [{ key: 'key', value: Buffer.from('stolen') }],
      deletes: [],
      appends: [entryOf('stolen')],
    }
    const calls = [
      committing?.commit(change),
      getting?.get(['key']),
      ranging?.range({ from: 'a', to: 'z', limit: 1 }),
    ]
    await Promise.all(calls.map((call) => expect(call).rejects.toMatchObject({ code: 'NOT_OWNER' })))
    expect(claims.slice(0, 3).map(({ signal }) => signal.aborted)).toEqual([true, true, true])
    expect(await textsIn(engine)).toEqual([])
    expect(await administer(url, 'select * from state')).toEqual([])
    await engine.close()
  })
})

describe.runIf(hasPostgres)('processes that write to the same places at the same time', () => {
  it('store every id once and wait for one another without end, whatever the order they name places in', async () => {
    const topics = ['a', 'b', 'c']
    const engines = await Promise.all(
      Array.from({ length: 3 }, () => openPostgres(url, { runtime, partitions: 4 })),
    )
    for (const topic of topics) await engines[0]?.createTopic(topic, {})
    const entry = (topic: string, id: number, partition: number) => {
      const event = {
        specversion: '1.0',
        id: String(id),
        source: 's',
        type: 't',
        time: '2026-01-01T00:00:00Z',
        data: 1,
      }
      return {
        ...{ topic, partition, timeMs: 1, value: Buffer.from(JSON.stringify(event)) },
        deduplicationId: String(id),
      }
    }
    const appends = engines.flatMap((engine, turn) =>
      Array.from({ length: 60 }, async (_, id) => {
        // Each comes when some of the others are under way, with its places in an order of its own.
        for (let wait = 0; wait < id % 7; wait += 1) await engine.bounds({ topic: 'a', partition: 0 })
        const order = turn % 2 === 0 ? topics : topics.toReversed()
        return engine.append(order.map((topic, index) => entry(topic, id, (id + turn + index) % 4)))
      }),
    )
    const appended = (await Promise.all(appends)).flat()
    expect(appended.filter(({ duplicate }) => !duplicate)).toHaveLength(3 * 60)
    for (let id = 100; id < 130; id += 1) {
      const places = await Promise.all(engines.map((engine, turn) => engine.append([entry('a', id, turn)])))
      expect(places.flat().filter(({ duplicate }) => !duplicate)).toHaveLength(1)
    }
    const stored = await administer(
      url,
      'select topic_id, sum(octet_length(head) / 20)::integer as count from record_block group by topic_id',
    )
    expect(stored.map(({ count }) => count).sort()).toEqual([60, 60, 90])
    for (const engine of engines) await engine.close()
  })
})

describe.runIf(hasPostgres)('a server that is away', () => {
  it('is UNREACHABLE when the log is opened', async () => {
    const nobody = `postgres://postgres@127.0.0.1:${await freePort()}/postgres`
    await expect(openPostgres(nobody, { runtime })).rejects.toMatchObject({ code: 'UNREACHABLE' })
  })

  it('fails calls with UNREACHABLE after a while, and those that come later succeed when it is back', async () => {
    const own = await PostgresServer.start()
    const engine = await openPostgres(own.url(), { runtime, partitions: 1, leaseMs: 1000 })
    try {
      await engine.createTopic(at.topic, {})
      const { claim, next } = await claimOf(engine)
      const news = engine.changed(new Map([[at, 0]]), new AbortController().signal)
      await own.stop()
      const calls = [
        engine.append([entryOf('never')]),
        engine.read(at, 0, noLimits),
        engine.bounds(at),
        claim.commit({ puts: [], deletes: [], appends: [entryOf('never')] }),
      ]
      await Promise.all(calls.map((call) => expect(call).rejects.toMatchObject({ code: 'UNREACHABLE' })))
      expect(claim.signal.aborted).toBe(true)
      await own.run()
      await (await next).commit({ puts: [], deletes: [], appends: [entryOf('after')] })
      await news
      expect(await textsIn(engine)).toEqual(['after'])
    } finally {
      await engine.close()
      await own.remove()
    }
  }, 90_000)

  it('does not keep an engine from closing', async () => {
    const own = await PostgresServer.start()
    const engine = await openPostgres(own.url(), { runtime, partitions: 1 })
    await engine.join('group', { id: 'member' }, () => undefined)
    await own.stop()
    await engine.close()
    await own.remove()
  }, 60_000)
})

describe.runIf(hasPostgres)('what the server refuses', () => {
  it('is STORAGE_FAILED for a database that is not there, and the password is not told', async () => {
    const missing = url.replace('postgres@', 'postgres:secret@').replace('/postgres?', '/missing?')
    const opening = openPostgres(missing, { runtime })
    await expect(opening).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      where: expect.not.stringContaining('secret'),
    })
  })

  it('is STORAGE_FAILED for a log that a newer version has written', async () => {
    await (await openPostgres(url, { runtime })).close()
    await administer(url, 'update log set version = 99')
    await expect(openPostgres(url, { runtime })).rejects.toMatchObject({ code: 'STORAGE_FAILED' })
  })
})

describe.runIf(hasPostgres)('a server that does not flush what it acknowledges', () => {
  it.for(['fsync=off', 'synchronous_commit=off'])(
    'is declared as not safe: %s',
    { timeout: 60_000 },
    async (setting) => {
      const own = await PostgresServer.start([setting])
      const engine = await openPostgres(own.url(), { runtime })
      expect(engine.capabilities.powerLossSafe).toBe(false)
      await engine.close()
      await own.remove()
    },
  )
})

describe.runIf(hasPostgres)('a record whose bytes have changed', () => {
  it('is RECORD_CORRUPT, and those behind it can be read', async () => {
    const engine = await openPostgres(url, { runtime, partitions: 1 })
    await engine.createTopic(at.topic, {})
    await engine.append(['a', 'b', 'c'].map(entryOf))
    // They are one block.
    await administer(url, `update record_block set value = set_byte(value, octet_length(value) / 2, 0)`)
    expect((await engine.read(at, 0, noLimits)).records).toHaveLength(1)
    await expect(engine.read(at, 1, noLimits)).rejects.toMatchObject({
      code: 'RECORD_CORRUPT',
      facts: { ...at, offset: 1 },
    })
    expect((await engine.read(at, 2, noLimits)).records).toHaveLength(1)
    await engine.close()
  })
})

const hasPooler = hasPostgres && spawnSync('pgbouncer', ['--version']).status === 0
if (hasPostgres && !hasPooler) console.error('SKIPPED: there is no PgBouncer here: apt-get install pgbouncer')

describe.runIf(hasPooler)('a connection pooler', () => {
  async function withPooler(mode: string, use: (pooled: string) => Promise<void>): Promise<void> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-pooler-'))
    chmodSync(folder, 0o755)
    const port = await freePort()
    const file = join(folder, 'pgbouncer.ini')
    writeFileSync(
      file,
      [
        '[databases]',
        `postgres = user=postgres host=127.0.0.1 port=${server.port}`,
        '[pgbouncer]',
        'listen_addr=127.0.0.1',
        `listen_port=${port}`,
        'auth_type=any',
        'unix_socket_dir=',
        `pool_mode=${mode}`,
      ].join('\n'),
    )
    const child = spawn('pgbouncer', process.getuid?.() === 0 ? ['-u', 'nobody', file] : [file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const ended = once(child, 'exit')
    try {
      for await (const line of createInterface({ input: child.stderr }))
        if (line.includes('process up')) break
      child.stderr.resume()
      await use(url.replace(`:${server.port}/`, `:${port}/`))
    } finally {
      child.kill('SIGKILL')
      await ended
      rmSync(folder, { recursive: true })
    }
  }

  it('that shares sessions is SESSION_REQUIRED, and nothing is created', async () => {
    await withPooler('transaction', async (pooled) => {
      await expect(openPostgres(pooled, { runtime })).rejects.toMatchObject({ code: 'SESSION_REQUIRED' })
    })
    expect(await administer(url, `select to_regclass('log')::text as log`)).toEqual([{ log: null }])
  })

  it('that gives each connection a session of its own is fine', async () => {
    await withPooler('session', async (pooled) => {
      const engine = await openPostgres(pooled, { runtime, partitions: 1 })
      await engine.createTopic(at.topic, {})
      const news = engine.changed(new Map([[at, 0]]), new AbortController().signal)
      await engine.append([entryOf('a')])
      expect(await news).toEqual([at])
      await engine.close()
    })
  })
})
