import { app, event, on } from 'millrace'
import { xml } from 'millrace/xml'
import { z } from 'zod'

const Order = xml(
  z.object({
    order: z.object({
      '@id': z.string(),
      item: z.array(z.object({ '@sku': z.string(), '#text': z.number() })),
    }),
  }),
  { arrays: ['order/item'], numbers: ['order/item'] },
)

const OrderReceived = event('edi.order.received', {
  schema: Order,
  key: (text) => Order.parse(text).order['@id'],
})
const ItemOrdered = event('edi.item.ordered', {
  schema: z.object({ order: z.string(), sku: z.string(), quantity: z.number() }),
  key: (data) => data.sku,
})

const readOrder = on(OrderReceived, { name: 'read-order', from: 'start' }, ({ data }, ctx) => {
  const { order } = Order.parse(data)
  for (const item of order.item) {
    ctx.emit(ItemOrdered, { order: order['@id'], sku: item['@sku'], quantity: item['#text'] })
  }
})

export default app({ name: 'edi', handlers: [readOrder], events: [ItemOrdered] })
