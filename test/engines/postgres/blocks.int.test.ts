import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import type { LogEngine } from '../../../src/log/port.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const at = { topic: 'orders', partition: 0 }
const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }
/** Several blocks, of records of many sizes. */
const valuesOf = (count: number) =>
  Array.from({ length: count }, (_, n) => Buffer.alloc(20 + (n % 7) * 50, `${n}`))

describe.runIf(hasPostgres)('records that one transaction appends', () => {
  let server: PostgresServer
  let url: string
  let engine: LogEngine
  const values = valuesOf(300)

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  beforeEach(async () => {
    url = server.url()
    engine = await openPostgres(url, { runtime: realRuntime(), partitions: 1 })
    await engine.createTopic(at.topic, {})
    // Every third has a later time.
    await engine.append(values.map((value, n) => ({ ...at, value, timeMs: 1000 + Math.floor(n / 3) })))
    return () => engine.close()
  })

  it('are a few rows, and are read from any of them, as many and as large as asked for', async () => {
    const [{ rows }] = (await administer(url, 'select count(*)::integer as rows from record_block')) as [
      { rows: number },
    ]
    expect(rows).toBeGreaterThan(1)
    expect(rows).toBeLessThan(10)
    for (let from = 0; from < values.length; from += 1) {
      const { records } = await engine.read(at, from, { records: 1 + (from % 100), bytes: 1 + from * 20 })
      expect(records[0]).toMatchObject({ offset: from, timeMs: 1000 + Math.floor(from / 3) })
      expect(records.length).toBeLessThanOrEqual(1 + (from % 100))
      let bytes = 0
      for (const [index, { offset, value }] of records.entries()) {
        expect(offset).toBe(from + index)
        expect(Buffer.from(value).equals(values[offset] as Buffer)).toBe(true)
        bytes += value.length
      }
      if (records.length > 1) expect(bytes).toBeLessThanOrEqual(1 + from * 20)
    }
    expect((await engine.read(at, 0, noLimits)).records).toHaveLength(values.length)
  })

  it('are found by their times', async () => {
    for (let index = 0; index < 100; index += 1)
      expect(await engine.offsetAt(at, 1000 + index)).toBe(3 * index)
    expect(await engine.offsetAt(at, 0)).toBe(0)
    expect(await engine.offsetAt(at, 5000)).toBe(values.length)
  })

  it('can be trimmed in the middle of a row, by each limit, and are counted by their bytes', async () => {
    const bytesFrom = (from: number) => values.slice(from).reduce((sum, { length }) => sum + length, 0)
    expect((await engine.bounds(at)).bytes).toBe(bytesFrom(0))
    for (const [limits, start] of [
      [{ before: 10 }, 10],
      [{ beforeTimeMs: 1007 }, 21],
      [{ keepBytes: bytesFrom(35) }, 35],
      [{ keepBytes: bytesFrom(250) + 1 }, 250],
    ] as const) {
      expect(await engine.trim(at, limits)).toBe(start)
      expect(await engine.bounds(at)).toMatchObject({ start, bytes: bytesFrom(start) })
      expect((await engine.read(at, start, noLimits)).records[0]?.offset).toBe(start)
      await expect(engine.read(at, start - 1, noLimits)).rejects.toMatchObject({ code: 'OFFSET_TRIMMED' })
      expect(await engine.offsetAt(at, 0)).toBe(start)
    }
    expect(await engine.trim(at, { keepBytes: 0 })).toBe(values.length)
    expect(await administer(url, 'select * from record_block')).toEqual([])
    expect(await engine.bounds(at)).toMatchObject({ start: values.length, bytes: 0 })
  })

  it('are corrupt together where the head of their row is, and those of the next row can be read', async () => {
    const [row] = await administer(
      url,
      'select "offset"::integer as last from record_block order by "offset" limit 1',
    )
    const last = Number(row?.last)
    await administer(url, `update record_block set head = set_byte(head, 3, 1) where "offset" = ${last}`)
    for (const offset of [0, 1, last]) {
      await expect(engine.read(at, offset, noLimits)).rejects.toMatchObject({
        code: 'RECORD_CORRUPT',
        facts: { offset },
      })
    }
    expect((await engine.read(at, last + 1, noLimits)).records).toHaveLength(values.length - last - 1)
  })
})
