import { app, event, on, start } from 'millrace'
import pg from 'pg'
import { z } from 'zod'

const OrderPlaced = event('shop.order.placed', {
  schema: z.object({ orderId: z.string(), customer: z.string(), total: z.number() }),
  key: (data) => data.orderId,
})

const confirmed = Promise.withResolvers<void>()
const confirm = on(OrderPlaced, { name: 'confirm', from: 'start' }, ({ data }) => {
  console.log(`order ${data.orderId} of ${data.customer} is confirmed`)
  confirmed.resolve()
})

const database = process.env.DATABASE_URL
if (database === undefined) throw new Error('name the database: DATABASE_URL=postgres://…')
const running = await start(app({ name: 'shop', handlers: [confirm] }), { log: database })
const pool = new pg.Pool({ connectionString: database })
await pool.query(`create table if not exists orders (
  id text primary key, customer text not null, total numeric not null check (total > 0))`)

async function placeOrder(orderId: string, customer: string, total: number): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await running.publishIn(client, OrderPlaced, { orderId, customer, total })
    await client.query('insert into orders values ($1, $2, $3)', [orderId, customer, total])
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

await placeOrder('o-1', 'ann', 0).catch(() => console.log('order o-1 was refused, and nobody hears of it'))
await placeOrder('o-2', 'bob', 30)
await confirmed.promise
const { rows } = await pool.query('select id from orders')
console.log(`orders: ${rows.map(({ id }) => id).join(', ')}`)
await pool.end()
await running.stop()
