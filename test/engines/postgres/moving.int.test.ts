import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { exportPostgres } from '../../../src/engines/postgres/export.ts'
import { importPostgres } from '../../../src/engines/postgres/import.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import type { Appended, Claim } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const at = { topic: 'orders', partition: 0 }
const mark = { id: 'move-1', other: 'elsewhere:', finished: false }
const runtime = new ManualRuntime()
const value = new TextEncoder().encode('{"id":"1","source":"s","type":"t"}')
const options = { runtime, partitions: 2, leaseMs: 600_000 }
const intoOutbox = "insert into outbox (topic, partition, time_ms, value) values ('orders', 0, 1, 'x')"

describe.runIf(hasPostgres)('a log in PostgreSQL that is moved', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  it('refuses every write of a process that nobody sees any more, and lets it read', async () => {
    const url = server.url()
    const engine = await openPostgres(url, options)
    await engine.createTopic('orders', {})
    await engine.append([{ ...at, value, timeMs: 1 }])
    const claims: Claim[] = []
    await engine.join('makers', { id: 'one' }, (claim) => claims.push(claim))
    // As after a long pause.
    await administer(url, 'delete from process')
    const log = await exportPostgres(url, { runtime })
    await log.setMark(mark)
    const entry = { ...at, value, timeMs: 2 }
    const change = { puts: [{ key: 'key', value }], deletes: [], appends: [] }
    const writes = [
      () => engine.append([entry]),
      () => claims[0]?.commit(change),
      () => engine.createTopic('late', {}),
      () => engine.trim(at, { before: 1 }),
      () => engine.join('late', { id: 'late' }, () => undefined),
      () => engine.deleteTopic('orders'),
    ]
    for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'LOG_MOVED' })
    expect((await engine.read(at, 0, { records: 9, bytes: 999 })).records).toHaveLength(1)
    await log.setMark(undefined)
    await log.close()
    expect(await engine.append([entry])).toMatchObject([{ offset: 1 }])
    await engine.close()
  })

  it('tells where the record of each id is, whichever transaction wrote it', async () => {
    const url = server.url()
    const engine = await openPostgres(url, options)
    for (const topic of ['orders', 'replies']) await engine.createTopic(topic, {})
    const places = [at, { topic: 'replies', partition: 1 }, at, { topic: 'replies', partition: 0 }]
    const written = ['first', 'second'].map((transaction) =>
      places.map((place, nth) => ({ ...place, value, timeMs: 1, deduplicationId: `${transaction} ${nth}` })),
    )
    const appended = []
    for (const entries of written) appended.push(...(await engine.append(entries)))
    await engine.close()
    const log = await exportPostgres(url, { runtime })
    const { ids } = await log.ids(0, 100)
    await log.close()
    const placed = ({ topic, partition, offset }: Omit<Appended, 'duplicate'>) => ({
      topic,
      partition,
      offset,
    })
    expect(ids.map(placed)).toEqual(appended.map(placed))
  })

  it('is in use while events of committed transactions wait to be taken into it', async () => {
    const url = server.url()
    await (await openPostgres(url, options)).close()
    await administer(url, intoOutbox)
    const log = await exportPostgres(url, { runtime })
    await expect(log.setMark(mark)).rejects.toMatchObject({ code: 'LOG_IN_USE', facts: { waiting: 1 } })
    await log.close()
    await (await openPostgres(url, options)).close()
  })

  it('takes no event into its outbox any more', async () => {
    const url = server.url()
    await (await openPostgres(url, options)).close()
    const log = await exportPostgres(url, { runtime })
    await log.setMark(mark)
    await log.close()
    await expect(administer(url, intoOutbox)).rejects.toMatchObject({ code: 'MR001' })
  })

  it('is imported by one at a time, and leaves the tables of others alone when it is dropped', async () => {
    const url = server.url()
    const log = await importPostgres(url, { runtime })
    await log.begin(mark, 2)
    await administer(url, 'create table mine (id integer)')
    const other = importPostgres(url, { runtime: realRuntime() })
    await expect(other).rejects.toMatchObject({ code: 'LOG_IN_USE' })
    await log.drop()
    await log.close()
    const tables = 'select table_name from information_schema.tables where table_schema = current_schema()'
    expect(await administer(url, tables)).toEqual([{ table_name: 'mine' }])
  })
})
