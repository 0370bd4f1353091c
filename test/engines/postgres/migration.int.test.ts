import { crc32 } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import { migrations } from '../../../src/engines/postgres/schema.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const runtime = realRuntime()
const at = { topic: 'orders', partition: 0 }
const entry = {
  ...at,
  value: Buffer.from(
    '{"specversion":"1.0","id":"one","source":"shop","type":"t","time":"2026-01-01T00:00:00Z"}',
  ),
  timeMs: 1,
  deduplicationId: 'one',
}
/** Where offsets need more than 32 bits. */
const far = 2 ** 33
const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

describe.runIf(hasPostgres)('the tables of a log', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  const schemaOf = (url: string) => new URL(url).searchParams.get('schema') ?? ''

  /** What the columns, indexes and functions of a log are. */
  async function shapeOf(url: string): Promise<unknown> {
    const schema = schemaOf(url)
    return await administer(
      url,
      `select (select json_agg(c order by c.table_name, c.column_name) from (
          select table_name, column_name, data_type, column_default is not null as given, is_nullable
          from information_schema.columns where table_schema = '${schema}') as c) as columns,
        (select json_agg(replace(indexdef, '${schema}.', '') order by indexname) from pg_indexes where schemaname = '${schema}') as indexes,
        (select json_agg(proname || '(' || pg_get_function_identity_arguments(oid) || ')') from pg_proc
          where pronamespace = '${schema}'::regnamespace) as functions`,
    )
  }

  it.for(migrations.slice(1).map((_, index) => index + 1))(
    'of version %d are made those of today, with all that is in them, by whichever of many processes is first',
    async (version) => {
      const [old, fresh] = [server.url(), server.url()]
      await (await openPostgres(fresh, { runtime })).close()
      const hex = entry.value.toString('hex')
      const records = [0, far].map(
        (
          offset,
          index,
        ) => `insert into record (topic_id, partition, "offset", time_ms, appended_bytes, checksum, value)
          values (1, 2, ${offset}, ${index + 1}, ${(index + 1) * entry.value.length}, ${crc32(entry.value)}, '\\x${hex}')`,
      )
      // The third is of a record that was trimmed.
      const ids = [entry.deduplicationId, 'two', 'three'].map(
        (id, index) => `insert into identity (topic_id, id, partition, "offset", at_ms, sequence)
          values (1, sha256('${id}'), 2, ${[far, 0, 1][index]}, ${runtime.now()}, nextval('identity_sequence'))`,
      )
      await administer(
        old,
        `create schema ${schemaOf(old)}`,
        ...migrations.slice(0, Math.min(version, 2)),
        `insert into log (version, partitions) values (${version}, 3)`,
        `insert into topic (name, options) values ('${at.topic}', '{}')`,
        `insert into place (topic_id, partition, end_offset, appended_bytes, last_time_ms)
          select 1, p, case p when 2 then ${far + 1} else 0 end, case p when 2 then ${2 * entry.value.length} else 0 end, 2
          from generate_series(0, 2) as p`,
        ...records,
        ...ids,
        ...migrations.slice(2, version),
      )
      const [first, ...others] = await Promise.all(
        [1, 2, 3].map(() => openPostgres(old, { runtime, partitions: 16 })),
      )
      for (const engine of others) await engine.close()
      expect(first?.partitions).toBe(3)
      expect(await first?.append([entry])).toMatchObject([{ partition: 2, offset: far, duplicate: true }])
      const other = Buffer.from(entry.value.toString().replace('"t"', '"other"'))
      await expect(first?.append([{ ...entry, value: other }])).rejects.toMatchObject({ code: 'ID_REUSED' })
      const gone = { ...entry, deduplicationId: 'three' }
      expect(await first?.append([gone])).toMatchObject([{ offset: 1, duplicate: true }])
      const fresher = { ...entry, partition: 2, deduplicationId: 'four' }
      expect(await first?.append([fresher])).toMatchObject([{ offset: far + 1, duplicate: false }])
      const stored = { ...at, partition: 2 }
      expect((await first?.read(stored, 0, noLimits))?.records.map(({ offset }) => offset)).toEqual([0, far])
      expect((await first?.read(stored, far, noLimits))?.records.map(({ offset }) => offset)).toEqual([
        far,
        far + 1,
      ])
      expect(await first?.offsetAt(stored, 2)).toBe(far)
      expect(await first?.trim(stored, { keepBytes: entry.value.length })).toBe(far + 1)
      await first?.close()
      expect(await administer(old, 'select version from log')).toEqual([{ version: migrations.length }])
      expect(await shapeOf(old)).toEqual(await shapeOf(fresh))
    },
  )

  it('are not found any more by processes of versions 2 and 3, which fail', async () => {
    const url = server.url()
    await (await openPostgres(url, { runtime })).close()
    for (const table of ['record', 'identity', 'id_block']) {
      await expect(administer(url, `select * from ${table}`)).rejects.toThrow('does not exist')
    }
  })

  it('of a newer version are refused, and left as they are', async () => {
    const url = server.url()
    await (await openPostgres(url, { runtime })).close()
    await administer(url, 'update log set version = version + 1')
    const opening = openPostgres(url, { runtime })
    await expect(opening).rejects.toMatchObject({
      code: 'STORAGE_FAILED',
      fix: expect.stringContaining('newer version'),
    })
    expect(await administer(url, 'select version from log')).toEqual([{ version: migrations.length + 1 }])
  })
})
