import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { encodeIds } from '../../../src/engines/postgres/id-block.ts'
import { fingerprintOf } from '../../../src/engines/postgres/identities.ts'
import { openPostgres, type PostgresOptions } from '../../../src/engines/postgres/postgres-engine.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const at = { topic: 'orders', partition: 0 }

function entryOf(id: string, data = 'same') {
  const event = { specversion: '1.0', id, source: 'shop', type: 't', time: '2026-01-01T00:00:00Z', data }
  return { ...at, value: Buffer.from(JSON.stringify(event)), timeMs: 1, deduplicationId: id }
}

describe.runIf(hasPostgres)('an id that a publisher chose', () => {
  let server: PostgresServer
  let url: string
  const engines: LogEngine[] = []

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  beforeEach(() => {
    url = server.url()
    return async () => {
      for (const engine of engines.splice(0)) await engine.close()
    }
  })

  async function open(options: Partial<PostgresOptions> = {}): Promise<LogEngine> {
    const engine = await openPostgres(url, { runtime: realRuntime(), partitions: 2, ...options })
    engines.push(engine)
    await engine.createTopic(at.topic, {})
    return engine
  }

  const outcome = async (engine: LogEngine, id: string) => (await engine.append([entryOf(id)]))[0]

  it('is known to every process, whichever wrote it, and to one that opens the log later', async () => {
    const two = [await open(), await open()]
    for (let n = 0; n < 100; n += 1)
      expect(await outcome(two[n % 2] as LogEngine, `${n}`)).toMatchObject({ offset: n })
    for (const engine of [...two, await open()]) {
      const appended = await engine.append(Array.from({ length: 100 }, (_, n) => entryOf(`${n}`)))
      expect(appended.map(({ offset, duplicate }) => [offset, duplicate])).toEqual(
        Array.from({ length: 100 }, (_, n) => [n, true]),
      )
    }
  })

  it('is known where two processes bring it at the same moment, among others', async () => {
    const two = [await open(), await open()]
    for (let round = 0; round < 20; round += 1) {
      const both = await Promise.all(
        two.map((engine, index) =>
          Promise.all([outcome(engine, `of ${index} ${round}`), outcome(engine, `of both ${round}`)]),
        ),
      )
      expect(both.map(([own]) => own?.duplicate)).toEqual([false, false])
      expect(both.map(([, shared]) => shared?.duplicate).toSorted()).toEqual([false, true])
      expect(new Set(both.map(([, shared]) => shared?.offset)).size).toBe(1)
    }
  })

  it('is told from another one that has its fingerprint', async () => {
    const engine = await open()
    await engine.append([entryOf('first'), entryOf('second')])
    const [log] = await administer(url, 'select id_key from log')
    const forged = ['other', 'second'].map((id, offset) => ({
      ...fingerprintOf(String(log?.id_key), id),
      ...{ topicId: 1, partition: 0, offset },
    }))
    await administer(
      url,
      `update id_batch set topic_ids = null, ends = null, ids = '\\x${encodeIds(forged).toString('hex')}'`,
    )
    const later = await open()
    expect(await outcome(later, 'other')).toMatchObject({ offset: 2, duplicate: false })
    expect(await outcome(later, 'other')).toMatchObject({ offset: 2, duplicate: true })
    expect(await outcome(later, 'second')).toMatchObject({ offset: 1, duplicate: true })
  })

  it('is forgotten with its row, in every process, once it is too old', async () => {
    const runtime = new ManualRuntime()
    const options = { runtime, deduplicationWindowMs: 1000, leaseMs: 600_000 }
    const [writer, other] = [await open(options), await open(options)]
    await writer.append(Array.from({ length: 10_000 }, (_, n) => entryOf(`old ${n}`)))
    expect(await outcome(other, 'old 0')).toMatchObject({ duplicate: true })
    runtime.advance(1001)
    await writer.append(Array.from({ length: 10_000 }, (_, n) => entryOf(`new ${n}`)))
    const rows = () => administer(url, 'select sequence::integer from id_batch')
    await expect.poll(rows).toEqual([{ sequence: 20_000 }])
    for (const each of [other, await open(options)]) {
      expect(await outcome(each, 'new 9999')).toMatchObject({ duplicate: true })
    }
    expect(await outcome(other, 'old 0')).toMatchObject({ duplicate: false })
    expect(await outcome(writer, 'old 0')).toMatchObject({ duplicate: true })
  })

  it('is not taken for known where the server has lost the transaction that wrote it', async () => {
    const [lost, other] = [await open(), await open()]
    await outcome(lost, 'kept')
    await outcome(lost, 'lost')
    // As a server does that takes the place of another, which had sent it no more.
    await administer(
      url,
      'delete from id_batch where sequence = 2',
      'delete from record_block where "offset" = 1',
      'update place set end_offset = 1 where end_offset = 2',
      'update log set id_count = 1',
    )
    expect(await outcome(lost, 'next')).toMatchObject({ offset: 1, duplicate: false })
    expect(await outcome(lost, 'lost')).toMatchObject({ offset: 2, duplicate: false })
    expect(await outcome(other, 'lost')).toMatchObject({ offset: 2, duplicate: true })
    expect(await outcome(lost, 'kept')).toMatchObject({ offset: 0, duplicate: true })
  })
})
