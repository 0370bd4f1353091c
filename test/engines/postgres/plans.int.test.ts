import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { openPostgres } from '../../../src/engines/postgres/postgres-engine.ts'
import { administer } from './administer.ts'
import { hasPostgres, PostgresServer } from './server.ts'

const event = Buffer.from(
  '{"specversion":"1.0","id":"a","source":"s","type":"t","time":"2026-01-01T00:00:00Z"}',
)
const perAppend = 1000
const appends = 12

describe.runIf(hasPostgres)('what the server reads', () => {
  let server: PostgresServer

  beforeAll(async () => {
    server = await PostgresServer.start()
  }, 60_000)

  afterAll(() => server?.remove())

  it('to append events with ids grows with these, not with what is stored, though it has planned for an empty log', async () => {
    const url = server.url()
    const engine = await openPostgres(url, { runtime: realRuntime(), partitions: 4 })
    await engine.createTopic('orders', {})
    for (let append = 0; append < appends; append += 1) {
      await engine.append(
        Array.from({ length: perAppend }, (_, index) => {
          const deduplicationId = `${append}-${index}`
          return { topic: 'orders', partition: index % 4, value: event, timeMs: 1, deduplicationId }
        }),
      )
    }
    await engine.close()
    // What a session has counted is told when it ends.
    const text = `select sum(n_tup_ins)::integer as written, sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::integer as read
      from pg_stat_user_tables where schemaname = current_schema() and relname in ('id_batch', 'record_block')`
    // Of each place two blocks, and one of ids.
    const stored = appends * (2 * 4 + 1)
    const told = async () => (await administer(url, text))[0] as { written: number; read: number }
    await expect.poll(async () => (await told()).written, { timeout: 20_000 }).toBe(stored)
    expect((await told()).read).toBeLessThan(stored)
    const indexes = `select coalesce(sum(idx_tup_read), 0)::integer as read from pg_stat_user_indexes
      where schemaname = current_schema() and relname in ('id_batch', 'record_block')`
    expect((await administer(url, indexes))[0]?.read).toBeLessThan(stored)
  }, 60_000)
})
