import type { Row } from './row.ts'

/** The rows in the order of the table; each is the file of that name in bench/rows. */
export const rowNames = [
  'publish-beside-lmdb',
  'publish-beside-redis',
  'publish-beside-jetstream',
  'publish-beside-pg',
  'publish-on-jetstream',
  'publish-one',
  'append',
  'handle-beside-bullmq',
  'handle-beside-pg-boss',
  'handle-on-jetstream',
  'handle-emit-state',
  'handle-failing',
  'handle-hot-key',
  'handle-latency',
  'http-one',
  'http-batch',
  'read',
  'open',
  'backlog-memory',
  'idle',
  'many-handlers',
  'many-filters',
  'partitions',
  'steady',
] as const

/** Loads one row. */
export async function loadRow(name: string): Promise<Row> {
  const module = (await import(`../rows/${name}.ts`)) as { default: Row }
  return module.default
}
