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
const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

describe.runIf(hasPostgres)('the tables of a log', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  const schemaOf = (url: string) => new URL(url).searchParams.get('schema') ?? ''

  /** What the tables, columns and indexes of a log are. */
  async function shapeOf(url: string): Promise<unknown> {
    const schema = schemaOf(url)
    return await administer(
      url,
      `select (select json_agg(c order by c.table_name, c.column_name) from (
          select table_name, column_name, data_type, column_default is not null as given, is_nullable
          from information_schema.columns where table_schema = '${schema}') as c) as columns,
        (select json_agg(replace(indexdef, '${schema}.', '') order by indexname) from pg_indexes where schemaname = '${schema}') as indexes`,
    )
  }

  it.for(migrations.slice(1).map((_, index) => index + 1))(
    'of version %d are made those of today, with all that is in them, by whichever of many processes is first',
    async (version) => {
      const [old, fresh] = [server.url(), server.url()]
      // What is in it was written by the version of today, which writes records as that one did.
      const made = await openPostgres(fresh, { runtime, partitions: 3 })
      await made.createTopic(at.topic, {})
      await made.append([entry])
      await made.close()
      const copied = ['topic', 'place', 'record', 'identity'].map(
        (table) => `insert into ${table} overriding system value select * from ${schemaOf(fresh)}.${table}`,
      )
      await administer(
        old,
        `create schema ${schemaOf(old)}`,
        ...migrations.slice(0, version),
        `insert into log (version, partitions) values (${version}, 3)`,
        `select nextval('identity_sequence')`,
        ...copied,
      )
      const [first, ...others] = await Promise.all(
        [1, 2, 3].map(() => openPostgres(old, { runtime, partitions: 16 })),
      )
      for (const engine of others) await engine.close()
      expect(first?.partitions).toBe(3)
      expect(await first?.append([entry])).toMatchObject([{ offset: 0, duplicate: true }])
      expect((await first?.read(at, 0, noLimits))?.records).toHaveLength(1)
      await first?.close()
      expect(await administer(old, 'select version from log')).toEqual([{ version: migrations.length }])
      expect(await shapeOf(old)).toEqual(await shapeOf(fresh))
    },
  )

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
