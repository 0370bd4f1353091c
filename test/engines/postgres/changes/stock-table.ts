import { app, event, on, type RunningApp, tableChanges } from 'millrace'
import pg from 'pg'
import { z } from 'zod'
import { recordsAt } from '../../records-at.ts'

/** How a database tells of changes. */
export type Capture = 'triggers' | 'replication'

const row = z.object({ sku: z.string(), left: z.int(), price: z.string() })

/** An application that takes in the changes of a table `stock`. */
export function stockApp(options: {
  table: string
  from: 'start' | 'now'
  database?: string
  capture: Capture
}) {
  const stock = tableChanges({ name: 'stock', row, ...options })
  const Low = event('stock.low', { schema: z.object({ sku: z.string() }), key: (data) => data.sku })
  const watchStock = on(
    [stock.read, stock.inserted, stock.updated],
    { name: 'watch-stock', from: 'start', state: { seen: z.int().default(0) } },
    async ({ data: { after } }, ctx) => {
      ctx.state.seen.set((await ctx.state.seen.get()) + 1)
      if (after.left < 3) ctx.emit(Low, { sku: after.sku })
    },
  )
  return {
    stock,
    Low,
    watchStock,
    application: app({ name: 'shop', sources: [stock], handlers: [watchStock], events: [Low] }),
  }
}

/** Makes the table. */
export async function createStock(pool: pg.Pool, table: string): Promise<void> {
  await pool.query(
    `create table ${table} (sku text primary key, "left" integer not null, price numeric(10, 2) not null)`,
  )
}

/** What is in the log of the changes of the source, in its order within each key. */
export interface Logged {
  readonly type: string
  readonly key: string
  readonly data: { readonly before: unknown; readonly after: unknown; readonly [name: string]: unknown }
}

export async function changesOf({ engine }: Pick<RunningApp, 'engine'>): Promise<Logged[]> {
  const found: Logged[] = []
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    for (const { value } of await recordsAt(engine, { topic: 'shop', partition })) {
      const { type, partitionkey, data } = JSON.parse(Buffer.from(value).toString())
      if (type.startsWith('stock.') && type !== 'stock.low') found.push({ type, key: partitionkey, data })
    }
  }
  return found
}

/** Clients of a database. */
export function poolOf(database: string, max = 16): pg.Pool {
  return new pg.Pool({ connectionString: database.replace(/\?.*/, ''), max })
}
