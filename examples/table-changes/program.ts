import { app, on, start, tableChanges } from 'millrace'
import pg from 'pg'
import { z } from 'zod'

const database = process.env.DATABASE_URL
if (database === undefined) throw new Error('name the database: DATABASE_URL=postgres://…')
const pool = new pg.Pool({ connectionString: database })
await pool.query(`create table if not exists stock (sku text primary key, "left" integer not null)`)
await pool.query(`insert into stock values ('cup', 1) on conflict do nothing`)

const stock = tableChanges({
  name: 'stock',
  table: 'public.stock',
  row: z.object({ sku: z.string(), left: z.int() }),
  from: 'start', // the rows that are there first, then every change
  database,
})

const { promise: sold, resolve } = Promise.withResolvers<void>()
const look = on(
  [stock.read, stock.inserted, stock.updated, stock.deleted],
  { name: 'look', from: 'start' },
  ({ type, data: { before, after } }) => {
    console.log(
      `${type}: ${before?.sku ?? after?.sku}, ${before?.left ?? 'nothing'} -> ${after?.left ?? 'gone'}`,
    )
    if (type === 'stock.deleted') resolve()
  },
)

const running = await start(app({ name: 'shop', sources: [stock], handlers: [look] }), { log: 'memory:' })
const { promise: read, resolve: isRead } = Promise.withResolvers<void>()
using _watch = running.watch(stock.read, () => isRead())
await read // from here on nothing is missed, whoever changes the table
await pool.query(`update stock set "left" = "left" - 1 where sku = 'cup'`)
await pool.query(`delete from stock where sku = 'cup'`)
await sold
await running.stop()
await pool.end()
