import { CloudEvent, HTTP } from 'cloudevents'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { xml } from '../../src/core/xml.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { post, problem, structured } from './platform-support.ts'
import { endAfterTest, startInMemory } from './support.ts'

const Order = xml(z.object({ order: z.object({ '@id': z.string(), item: z.array(z.string()) }) }), {
  arrays: ['order/item'],
})
const OrderSent = event('order.sent', { schema: Order, key: (text) => Order.parse(text).order['@id'] })

const attributes = {
  specversion: '1.0',
  source: '/edi',
  type: 'order.sent',
  datacontenttype: 'application/xml',
}
const document = '<?xml version="1.0"?>\r\n<order id="é7">\n  <item>tea</item>\n</order>\n'

async function serveOrders(): Promise<{ at: Listening; handled: () => Promise<readonly unknown[]> }> {
  const seen: unknown[] = []
  const take = on(OrderSent, { name: 'take', from: 'start' }, ({ data, partitionkey, datacontenttype }) => {
    seen.push({ data, partitionkey, datacontenttype, items: Order.parse(data).order.item })
  })
  const running = await startInMemory({ name: 'edi', handlers: [take] })
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  const handled = async () => {
    await running.settled()
    return seen
  }
  return { at, handled }
}

const taken = { data: document, partitionkey: 'é7', datacontenttype: 'application/xml', items: ['tea'] }
const bytes = Buffer.from(document)
const batch = { 'content-type': 'application/cloudevents-batch+json' }
const inBase64 = { ...attributes, id: 'b', data_base64: bytes.toString('base64') }

test.each<[string, (at: Listening) => Promise<Response>]>([
  ['binary mode', (at) => post(at, headersOf('application/xml'), bytes)],
  ['structured mode', (at) => structured(at, { ...attributes, id: 's', data: document })],
  ['structured mode as bytes', (at) => structured(at, inBase64)],
  ['a batch', (at) => post(at, batch, JSON.stringify([inBase64]))],
  [
    'binary mode of the cloudevents client',
    (at) => {
      const { headers, body } = HTTP.binary(new CloudEvent({ ...attributes, data: document }))
      return post(at, headers as Record<string, string>, body as string)
    },
  ],
])('XML comes as text, character for character, in %s', async (_mode, send) => {
  const { at, handled } = await serveOrders()
  const response = await send(at)
  expect(response.status, await response.clone().text()).toBe(202)
  expect(await handled()).toEqual([taken])
})

test('XML of another encoding is decoded, and its content type stays', async () => {
  const { at, handled } = await serveOrders()
  const type = 'text/xml; charset=iso-8859-1'
  expect((await post(at, headersOf(type), Buffer.from(document, 'latin1'))).status).toBe(202)
  expect(await handled()).toEqual([{ ...taken, datacontenttype: type }])
})

test.each([
  ['no XML', '<order id="1"><item>', 400, 'XML_INVALID', 'line 1, column 20'],
  ['a document type', '<!DOCTYPE order><order/>', 400, 'XML_INVALID', 'line 1, column 1'],
  ['XML that does not fit', '<order id="1"/>', 400, 'DATA_INVALID', 'data.order.item'],
  ['bytes of no UTF-8', Buffer.from([0x3c, 0xff]), 400, 'XML_INVALID', 'data'],
])('%s is refused at the door, with where it is wrong', async (_what, body, status, code, where) => {
  const { at, handled } = await serveOrders()
  const response = await post(at, headersOf('application/xml'), body)
  expect(await problem(response)).toMatchObject({ status, code, where })
  expect(await handled()).toEqual([])
})

test('an event of a batch that is no XML is named by its place', async () => {
  const { at } = await serveOrders()
  const events = [
    inBase64,
    { ...attributes, id: 'c', data: '<order' },
    { ...attributes, id: 'd', data: { a: 1 } },
  ]
  expect(await problem(await post(at, batch, JSON.stringify(events)))).toMatchObject({
    code: 'XML_INVALID',
    where: '[1].line 1, column 6',
  })
  expect(await problem(await post(at, batch, JSON.stringify([events[2]])))).toMatchObject({
    code: 'DATA_INVALID',
    where: 'data',
  })
})

function headersOf(type: string): Record<string, string> {
  return {
    'ce-specversion': '1.0',
    'ce-id': 'x',
    'ce-source': '/edi',
    'ce-type': 'order.sent',
    'content-type': type,
  }
}
