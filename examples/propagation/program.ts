import { app, command, event, failed, on, start } from 'millrace'
import { z } from 'zod'

const order = z.object({ orderId: z.string(), customer: z.string(), total: z.number() })
const key = ({ orderId }: z.output<typeof order>) => orderId
const OrderPlaced = event('shop.order.placed', { schema: order, key })
const OrderPacked = event('shop.order.packed', { schema: order, key })
const PlaceOrder = command('shop.place-order', {
  schema: order,
  key,
  result: z.object({ accepted: z.literal(true) }),
  failure: z.object({ reason: z.string() }),
})

const placeOrder = on(PlaceOrder, { name: 'place-order', from: 'start' }, ({ data }, ctx) => {
  if (data.total > 1_000) return failed({ reason: 'over the limit' })
  ctx.emit(OrderPlaced, data) // every handler of the type, once this command is done
  return { accepted: true as const }
})

const pack = on(OrderPlaced, { name: 'pack', from: 'start' }, ({ data }, ctx) => {
  ctx.emit(OrderPacked, data)
})

const spending = on(
  OrderPlaced,
  {
    name: 'spending',
    from: 'start',
    key: ({ customer }) => customer, // order and state by the customer, where the topic has them by the order
    state: { total: z.number().default(0) },
  },
  async ({ data }, ctx) => ctx.state.total.set((await ctx.state.total.get()) + data.total),
)

const shop = app({ name: 'shop', handlers: [placeOrder, pack, spending], events: [OrderPacked] })
const running = await start(shop, { log: process.env.MILLRACE_LOG ?? 'memory:' })

using _watch = running.watch(OrderPacked, ({ data }) => console.log(`watch: ${data.orderId} is packed`))

const tea = { orderId: 'o1', customer: 'ada', total: 40 }
console.log('request:', await running.request(PlaceOrder, tea))
console.log('request:', await running.request(PlaceOrder, { ...tea, orderId: 'o2', total: 5_000 }))
await running.publish(OrderPlaced, { ...tea, orderId: 'o3', total: 2 }, { wait: 'handled' })
await running.send(spending, OrderPlaced, { ...tea, orderId: 'o4', total: 100 }, { wait: 'handled' })
await running.settled()
console.log('ada has spent', (await running.read(spending, 'ada')).total)
await running.stop()
