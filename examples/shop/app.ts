import { app, event, http, on } from 'millrace'
import { z } from 'zod'

const OrderPlaced = event('shop.order.placed', {
  schema: z.object({ sku: z.string(), quantity: z.int().positive() }),
  key: (order) => order.sku, // order and state are kept for each key
})
const StockRefused = event('shop.stock.refused', {
  schema: z.object({ sku: z.string(), wanted: z.int() }),
  key: (refusal) => refusal.sku,
})

const reserveStock = on(
  OrderPlaced,
  { name: 'reserve-stock', from: 'start', state: { left: z.int().default(100) } },
  async ({ data }, ctx) => {
    const left = await ctx.state.left.get()
    if (left < data.quantity) return ctx.emit(StockRefused, { sku: data.sku, wanted: data.quantity })
    ctx.state.left.set(left - data.quantity) // commits together with the event's being done, or not at all
  },
)

export default app({
  name: 'shop',
  handlers: [reserveStock],
  routes: [
    http.post('/orders', { body: OrderPlaced.schema }, async ({ body }, ctx) =>
      Response.json(await ctx.publish(OrderPlaced, body), { status: 202 }),
    ),
    http.get('/stock/:sku', {}, async ({ params }, ctx) =>
      Response.json(await ctx.read(reserveStock, params.sku)),
    ),
  ],
})
