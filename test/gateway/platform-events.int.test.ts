import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { CloudEvent, HTTP } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'
import type { Listening } from '../../src/gateway/index.ts'
import { post, problem, raw, serveShop, structured, type Taken } from './platform-support.ts'
import { keepingLogger } from './support.ts'

async function stored(at: Listening, response: Response): Promise<Record<string, unknown>> {
  expect(response.status).toBe(202)
  const { records } = (await response.json()) as Taken
  const [{ topic, partition, offset } = { topic: '', partition: 0, offset: 0 }] = records
  const read = await fetch(`${at.url}/events?topic=${topic}&partition=${partition}&from=${offset}&limit=1`)
  expect(read.status).toBe(200)
  const page = (await read.json()) as { records: { event: Record<string, unknown> }[] }
  return page.records[0]?.event ?? {}
}

const attributes = { specversion: '1.0', id: 'e1', source: '/test', type: 'any.happened' }
const binary = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, value]))

describe('events of the cloudevents client', () => {
  const sent = new CloudEvent({
    id: 'from-the-client',
    source: '/client',
    type: 'order.placed',
    subject: 'basket',
    custom: 'extension',
    data: { sku: 'tea', quantity: 2 },
  })

  function checkStored(event: Record<string, unknown>): void {
    expect(event).toMatchObject({
      id: 'from-the-client',
      source: '/client',
      type: 'order.placed',
      subject: 'basket',
      custom: 'extension',
      partitionkey: 'tea',
      data: { sku: 'tea', quantity: 2 },
    })
    expect(event.time).toBe(sent.time)
  }

  test('are taken in binary mode', async () => {
    const { at } = await serveShop()
    const message = HTTP.binary(sent)
    checkStored(
      await stored(at, await post(at, message.headers as Record<string, string>, message.body as string)),
    )
  })

  test('are taken in structured mode', async () => {
    const { at } = await serveShop()
    const message = HTTP.structured(sent)
    checkStored(
      await stored(at, await post(at, message.headers as Record<string, string>, message.body as string)),
    )
  })

  test('are taken in batch mode, all or none', async () => {
    const { at } = await serveShop()
    const batch = [sent, sent.cloneWith({ id: 'second' })]
    const type = { 'content-type': 'application/cloudevents-batch+json; charset=utf-8' }
    const response = await post(at, type, JSON.stringify(batch))
    expect(response.status).toBe(202)
    const taken = (await response.json()) as Taken
    expect(taken.accepted).toBe(2)
    expect(taken.records.map(({ offset }) => offset)).toEqual([0, 1])

    const bad = sent.cloneWith({ id: 'bad', data: { sku: 'tea', quantity: 0 } })
    const refused = await post(at, type, JSON.stringify([sent.cloneWith({ id: 'third' }), bad]))
    expect(await problem(refused)).toMatchObject({
      status: 400,
      code: 'DATA_INVALID',
      where: '[1].data.quantity',
    })
    const topics = (await (await fetch(`${at.url}/topics`)).json()) as {
      topics: { name: string; partitions: { end: number }[] }[]
    }
    const shop = topics.topics.find(({ name }) => name === 'shop')
    const count = shop?.partitions.reduce((sum, { end }) => sum + end, 0)
    expect(count).toBe(2)
  })

  test('sent twice are stored once, and say so', async () => {
    const { at } = await serveShop()
    const once = await structured(at, sent.toJSON())
    const [first] = ((await once.json()) as Taken).records
    const again = await structured(at, sent.toJSON())
    expect(again.status).toBe(202)
    expect(((await again.json()) as Taken).records).toEqual([{ ...first, duplicate: true }])
  })
})

describe('binary mode', () => {
  const json = { 'content-type': 'application/json' }

  test.each([
    ['an object', '{"a":[1,null]}', { a: [1, null] }],
    ['a string', '"text"', 'text'],
    ['a number', '-1.5e3', -1500],
    ['true', 'true', true],
    ['null', 'null', null],
  ])('JSON data that is %s is parsed', async (_name, body, data) => {
    const { at } = await serveShop()
    const event = await stored(at, await post(at, { ...binary, ...json }, body))
    expect(event.data).toEqual(data)
    expect(event.datacontenttype).toBe('application/json')
  })

  test('a negative zero is stored and read as one', async () => {
    const { at } = await serveShop()
    const event = await stored(at, await post(at, { ...binary, ...json }, '-0'))
    expect(Object.is(event.data, -0)).toBe(true)
  })

  test('data of a +json type is parsed', async () => {
    const { at } = await serveShop()
    const headers = { ...binary, 'content-type': 'application/vnd.thing+json; charset=UTF-8' }
    expect((await stored(at, await post(at, headers, '{"a":1}'))).data).toEqual({ a: 1 })
  })

  test('text is kept as a string, decoded by its charset', async () => {
    const { at } = await serveShop()
    const utf8 = { ...binary, 'content-type': 'text/plain' }
    expect((await stored(at, await post(at, utf8, '\ufeffGrüße\n'))).data).toBe('\ufeffGrüße\n')
    const latin = { ...binary, 'ce-id': 'e2', 'content-type': 'text/csv; charset="iso-8859-1"' }
    const event = await stored(at, await post(at, latin, new Uint8Array([0x47, 0x72, 0xfc, 0xdf, 0x65])))
    expect(event.data).toBe('Grüße')
  })

  test('other content is kept as bytes', async () => {
    const { at } = await serveShop()
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    const headers = { ...binary, 'content-type': 'application/octet-stream' }
    const event = await stored(at, await post(at, headers, bytes))
    expect(event.data_base64).toBe(Buffer.from(bytes).toString('base64'))
    expect('data' in event).toBe(false)
  })

  test('an event may have no data', async () => {
    const { at } = await serveShop()
    const event = await stored(at, await post(at, binary))
    expect('data' in event).toBe(false)
    expect(event.time).toMatch(/Z$/)
  })

  test('attributes are unquoted and percent-decoded once', async () => {
    const { at } = await serveShop()
    const headers = {
      ...binary,
      'ce-subject': 'Euro%20%e2%82%ac%20%F0%9F%98%80%2520',
      'ce-custom': '"a \\"quoted\\" value"',
      'ce-hops': '2',
      'ce-dataversion': '1',
    }
    const event = await stored(at, await post(at, headers))
    expect(event).toMatchObject({ subject: 'Euro € 😀%20', custom: 'a "quoted" value', hops: 2 })
  })
})

type BadInput = readonly [
  name: string,
  headers: Record<string, string>,
  body: RequestInit['body'],
  status: number,
  code: string,
  where: string,
]

const structuredType = { 'content-type': 'application/cloudevents+json' }
const batchType = { 'content-type': 'application/cloudevents-batch+json' }
const text = { ...binary, 'content-type': 'text/plain' }
const smallest = JSON.stringify(attributes)

const badInputs: readonly BadInput[] = [
  ['nothing at all', {}, null, 415, 'CONTENT_TYPE_UNSUPPORTED', 'header content-type'],
  [
    'a content type that is none',
    { 'content-type': 'json' },
    '{}',
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
  [
    'JSON that is no CloudEvent',
    { 'content-type': 'application/json' },
    '{}',
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
  [
    'CloudEvents as XML',
    { 'content-type': 'application/cloudevents+xml' },
    '<e/>',
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
  [
    'a compressed body',
    { ...structuredType, 'content-encoding': 'gzip' },
    smallest,
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-encoding',
  ],
  [
    'JSON in UTF-16',
    { 'content-type': 'application/cloudevents+json; charset=utf-16' },
    smallest,
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
  [
    'JSON that ends early',
    structuredType,
    '{"specversion":\n"1.0"',
    400,
    'JSON_INVALID',
    'body, line 2, column 6',
  ],
  ['JSON with a stray comma', structuredType, '{"a":1,}', 400, 'JSON_INVALID', 'body, line 1, column 8'],
  ['no JSON', structuredType, 'hello', 400, 'JSON_INVALID', 'body'],
  ['an empty body', structuredType, '', 400, 'JSON_INVALID', 'body, line 1, column 1'],
  [
    'bytes that are no UTF-8',
    structuredType,
    new Uint8Array([0x22, 0xff, 0x22]),
    400,
    'JSON_INVALID',
    'body',
  ],
  ['a CloudEvent that is a string', structuredType, '"x"', 400, 'EVENT_INVALID', 'event'],
  [
    'an event without an id',
    structuredType,
    JSON.stringify({ ...attributes, id: undefined }),
    400,
    'EVENT_INVALID',
    'id',
  ],
  ['a batch that is no array', batchType, smallest, 400, 'EVENT_INVALID', 'body'],
  ['a bad event in a batch', batchType, `[${smallest},{}]`, 400, 'EVENT_INVALID', '[1].specversion'],
  [
    'an unknown event type',
    structuredType,
    JSON.stringify({ ...attributes, type: 'none' }),
    400,
    'EVENT_TYPE_UNKNOWN',
    'type',
  ],
  [
    'data that its schema refuses',
    structuredType,
    JSON.stringify({ ...attributes, type: 'order.placed', data: {} }),
    400,
    'DATA_INVALID',
    'data.sku',
  ],
  [
    'a key that is no string',
    structuredType,
    JSON.stringify({ ...attributes, partitionkey: 5 }),
    400,
    'KEY_INVALID',
    'partitionkey',
  ],
  [
    'a key that is too long',
    { ...binary, 'ce-partitionkey': 'k'.repeat(513) },
    null,
    400,
    'KEY_TOO_LONG',
    'header ce-partitionkey',
  ],
  [
    'an event beyond 512 KiB',
    structuredType,
    JSON.stringify({ ...attributes, data: 'x'.repeat(600_000) }),
    413,
    'EVENT_TOO_LARGE',
    "event 'any.happened'",
  ],
  ['a binary event without an id', { ...binary, 'ce-id': '' }, null, 400, 'EVENT_INVALID', 'header ce-id'],
  [
    'a binary event without a type',
    { 'ce-id': '1', 'ce-source': '/', 'ce-specversion': '1.0' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-type',
  ],
  [
    'a binary event with a bad time',
    { ...binary, 'ce-time': 'today' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-time',
  ],
  [
    'ce-datacontenttype',
    { ...binary, 'ce-datacontenttype': 'text/plain' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-datacontenttype',
  ],
  [
    'a header name that is no attribute',
    { ...binary, 'ce-my-header': 'x' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-my-header',
  ],
  [
    'a header name that every object has',
    { ...binary, 'ce-__proto__': 'x' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-__proto__',
  ],
  [
    'an overlong encoding',
    { ...binary, 'ce-subject': '%C0%A0' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-subject',
  ],
  [
    'a plain percent sign',
    { ...binary, 'ce-subject': '100%' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-subject',
  ],
  [
    'a header that is not ASCII',
    { ...binary, 'ce-subject': 'Gr\u00fc\u00dfe' },
    null,
    400,
    'EVENT_INVALID',
    'header ce-subject',
  ],
  [
    'binary data that is no JSON',
    { ...binary, 'content-type': 'application/json' },
    '{',
    400,
    'JSON_INVALID',
    'body, line 1, column 2',
  ],
  ['text that is not in its charset', text, new Uint8Array([0xff]), 400, 'REQUEST_INVALID', 'body'],
  [
    'a charset that is none',
    { ...binary, 'content-type': 'text/plain; charset=klingon' },
    'x',
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
  [
    'data without a content type',
    binary,
    new Uint8Array([1]),
    415,
    'CONTENT_TYPE_UNSUPPORTED',
    'header content-type',
  ],
]

describe('bad input is refused with a code, a place and what to do', () => {
  test.each(badInputs)('%s', async (_name, headers, body, status, code, where) => {
    const { at } = await serveShop()
    const answered = await problem(await post(at, headers, body))
    expect(answered).toMatchObject({ status, code, where })
    expect(answered.fix).toBeTypeOf('string')
  })

  test('an attribute that is sent twice', async () => {
    const { at } = await serveShop()
    const answered = await raw(at.port, [
      'POST /events HTTP/1.1',
      'host: localhost',
      'ce-id: 1',
      'ce-id: 2',
      'content-length: 0',
    ])
    expect(answered).toContain('400 Bad Request')
    expect(answered).toContain('header ce-id')
  })

  test.each([
    ['announced', 'x'.repeat(2000)],
    ['chunked', new Blob(['x'.repeat(2000)]).stream()],
  ])('a body over the bound whose length is %s', async (_name, body) => {
    const { at } = await serveShop({ maxBodyBytes: 1000 })
    const response = await fetch(`${at.url}/events`, {
      method: 'POST',
      headers: structuredType,
      body,
      duplex: 'half',
    } as RequestInit)
    expect(await problem(response)).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE', where: 'body' })
  })

  test.each(['millraceto', 'millracekey', 'millracesilent'])(
    'an attribute that is set by Millrace alone: %s',
    async (name) => {
      const { at } = await serveShop()
      const answered = await problem(await structured(at, { ...attributes, [name]: 'any' }))
      expect(answered).toMatchObject({ status: 400, code: 'EVENT_INVALID', where: name })
    },
  )

  test('an unknown topic', async () => {
    const { at } = await serveShop()
    const answered = await problem(await structured(at, attributes, '?topic=nowhere'))
    expect(answered).toMatchObject({ status: 404, code: 'TOPIC_UNKNOWN', where: 'topic' })
  })

  test("Millrace's own topics, which take nothing from outside and are not offered", async () => {
    const { at } = await serveShop()
    const answered = await problem(await structured(at, attributes, '?topic=millrace.shop.delayed'))
    expect(answered).toMatchObject({ status: 404, code: 'TOPIC_UNKNOWN', fix: 'Use one of: notes, shop.' })
  })

  test('an unknown parameter', async () => {
    const { at } = await serveShop()
    const answered = await problem(await structured(at, attributes, '?topics=shop'))
    expect(answered).toMatchObject({ status: 400, code: 'REQUEST_INVALID', where: 'query topics' })
  })

  test('bytes that are no HTTP', async () => {
    const { at } = await serveShop()
    const answered = await raw(at.port, ['HELLO'])
    expect(answered).toContain('400 Bad Request')
    expect(answered).toContain('"code":"REQUEST_INVALID"')
  })
})

describe('a log that cannot take more', () => {
  test.each([
    ['OVERLOADED', 429, '1'],
    ['LOG_CLOSED', 503, '1'],
    ['LOG_FULL', 507, '30'],
  ] as const)('%s is %i with Retry-After', async (code, status, retryAfter) => {
    const fault = (name: string) =>
      name === 'append:apply' ? new MillraceError(code, 'No room.') : undefined
    const { at } = await serveShop({}, { fault })
    const response = await structured(at, attributes)
    expect(response.headers.get('retry-after')).toBe(retryAfter)
    expect(await problem(response)).toMatchObject({ status, code })
  })

  test('bodies that might not fit into memory together are refused with Retry-After', async () => {
    const { at } = await serveShop({ maxBodyBytes: 40 * 1024 * 1024 })
    const held = httpRequest(`${at.url}/events`, { method: 'POST', headers: structuredType })
    const answered = once(held, 'response')
    held.write(' ')
    const chunked = () =>
      fetch(`${at.url}/events`, {
        method: 'POST',
        headers: structuredType,
        body: new Blob([smallest]).stream(),
        duplex: 'half',
      } as RequestInit)
    await expect.poll(async () => (await chunked()).headers.get('retry-after')).toBe('1')
    expect(await problem(await chunked())).toMatchObject({ status: 429, code: 'OVERLOADED' })
    held.end(smallest)
    const [taken] = (await answered) as [IncomingMessage]
    expect(taken.statusCode).toBe(202)
    taken.resume()
    await expect.poll(async () => (await chunked()).status).toBe(202)
  })

  test('an unknown error is 500, tells nothing of itself, and is logged', async () => {
    const { logger, lines } = keepingLogger()
    const secret = new Error('the secret')
    const { at } = await serveShop(
      {},
      { logger, fault: (name) => (name === 'append:apply' ? secret : undefined) },
    )
    const response = await structured(at, attributes)
    const answered = await problem(response)
    expect(answered).toMatchObject({ status: 500, code: 'INTERNAL' })
    expect(JSON.stringify(answered)).not.toContain('secret')
    expect(lines).toMatchObject([{ level: 'error', fields: { err: secret, method: 'POST', url: '/events' } }])
  })
})
