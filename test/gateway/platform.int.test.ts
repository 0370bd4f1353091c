import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { CloudEvent, HTTP } from 'cloudevents'
import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { MillraceError } from '../../src/core/errors.ts'
import { event } from '../../src/core/event.ts'
import { type Listening, type PlatformOptions, type Problem, servePlatform } from '../../src/gateway/index.ts'
import { keepingLogger, type StartInMemory, startInMemory } from './support.ts'

const AnyHappened = event('any.happened', { schema: z.unknown() })
const OrderPlaced = event('order.placed', {
  schema: z.object({ sku: z.string(), quantity: z.int().positive() }),
  key: (data) => data.sku,
})

interface Taken {
  readonly accepted: number
  readonly records: readonly { topic: string; partition: number; offset: number; duplicate?: boolean }[]
}

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function serve(
  options: PlatformOptions = {},
  how: StartInMemory = {},
): Promise<{ running: RunningApp; at: Listening }> {
  const running = await startInMemory({ name: 'shop', events: [AnyHappened, OrderPlaced] }, how)
  ends.push(() => running.stop())
  const at = await servePlatform(running, { port: 0, ...options })
  ends.push(() => at.close())
  return { running, at }
}

function post(at: Listening, headers: Record<string, string>, body?: RequestInit['body'], query = '') {
  return fetch(`${at.url}/events${query}`, { method: 'POST', headers, body: body ?? null })
}

function structured(at: Listening, value: object, query = ''): Promise<Response> {
  return post(at, { 'content-type': 'application/cloudevents+json' }, JSON.stringify(value), query)
}

async function stored(at: Listening, response: Response): Promise<Record<string, unknown>> {
  expect(response.status).toBe(202)
  const { records } = (await response.json()) as Taken
  const [{ topic, partition, offset } = { topic: '', partition: 0, offset: 0 }] = records
  const read = await fetch(`${at.url}/events?topic=${topic}&partition=${partition}&from=${offset}&limit=1`)
  expect(read.status).toBe(200)
  const page = (await read.json()) as { records: { event: Record<string, unknown> }[] }
  return page.records[0]?.event ?? {}
}

async function problem(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  const body = (await response.json()) as Problem
  expect(body.status).toBe(response.status)
  expect(body.type).toBe(`urn:millrace:error:${body.code}`)
  expect(body.title).not.toBe('')
  expect(body.detail).not.toBe('')
  return body
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
    const { at } = await serve()
    const message = HTTP.binary(sent)
    checkStored(
      await stored(at, await post(at, message.headers as Record<string, string>, message.body as string)),
    )
  })

  test('are taken in structured mode', async () => {
    const { at } = await serve()
    const message = HTTP.structured(sent)
    checkStored(
      await stored(at, await post(at, message.headers as Record<string, string>, message.body as string)),
    )
  })

  test('are taken in batch mode, all or none', async () => {
    const { at } = await serve()
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
      topics: { partitions: { end: number }[] }[]
    }
    const count = topics.topics[0]?.partitions.reduce((sum, { end }) => sum + end, 0)
    expect(count).toBe(2)
  })

  test('sent twice are stored once, and say so', async () => {
    const { at } = await serve()
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
    const { at } = await serve()
    const event = await stored(at, await post(at, { ...binary, ...json }, body))
    expect(event.data).toEqual(data)
    expect(event.datacontenttype).toBe('application/json')
  })

  test('a negative zero is stored and read as one', async () => {
    const { at } = await serve()
    const event = await stored(at, await post(at, { ...binary, ...json }, '-0'))
    expect(Object.is(event.data, -0)).toBe(true)
  })

  test('data of a +json type is parsed', async () => {
    const { at } = await serve()
    const headers = { ...binary, 'content-type': 'application/vnd.thing+json; charset=UTF-8' }
    expect((await stored(at, await post(at, headers, '{"a":1}'))).data).toEqual({ a: 1 })
  })

  test('text is kept as a string, decoded by its charset', async () => {
    const { at } = await serve()
    const utf8 = { ...binary, 'content-type': 'text/plain' }
    expect((await stored(at, await post(at, utf8, '\ufeffGrüße\n'))).data).toBe('\ufeffGrüße\n')
    const latin = { ...binary, 'ce-id': 'e2', 'content-type': 'text/csv; charset="iso-8859-1"' }
    const event = await stored(at, await post(at, latin, new Uint8Array([0x47, 0x72, 0xfc, 0xdf, 0x65])))
    expect(event.data).toBe('Grüße')
  })

  test('other content is kept as bytes', async () => {
    const { at } = await serve()
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    const headers = { ...binary, 'content-type': 'application/octet-stream' }
    const event = await stored(at, await post(at, headers, bytes))
    expect(event.data_base64).toBe(Buffer.from(bytes).toString('base64'))
    expect('data' in event).toBe(false)
  })

  test('an event may have no data', async () => {
    const { at } = await serve()
    const event = await stored(at, await post(at, binary))
    expect('data' in event).toBe(false)
    expect(event.time).toMatch(/Z$/)
  })

  test('attributes are unquoted and percent-decoded once', async () => {
    const { at } = await serve()
    const headers = {
      ...binary,
      'ce-subject': 'Euro%20%e2%82%ac%20%F0%9F%98%80%2520',
      'ce-custom': '"a \\"quoted\\" value"',
      'ce-hops': '2',
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
    const { at } = await serve()
    const answered = await problem(await post(at, headers, body))
    expect(answered).toMatchObject({ status, code, where })
    expect(answered.fix).toBeTypeOf('string')
  })

  test('an attribute that is sent twice', async () => {
    const { at } = await serve()
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
    const { at } = await serve({ maxBodyBytes: 1000 })
    const response = await fetch(`${at.url}/events`, {
      method: 'POST',
      headers: structuredType,
      body,
      duplex: 'half',
    } as RequestInit)
    expect(await problem(response)).toMatchObject({ status: 413, code: 'BODY_TOO_LARGE', where: 'body' })
  })

  test('an unknown topic', async () => {
    const { at } = await serve()
    const answered = await problem(await structured(at, attributes, '?topic=nowhere'))
    expect(answered).toMatchObject({ status: 404, code: 'TOPIC_UNKNOWN', where: 'topic' })
  })

  test('an unknown parameter', async () => {
    const { at } = await serve()
    const answered = await problem(await structured(at, attributes, '?topics=shop'))
    expect(answered).toMatchObject({ status: 400, code: 'REQUEST_INVALID', where: 'query topics' })
  })

  test('bytes that are no HTTP', async () => {
    const { at } = await serve()
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
    const { at } = await serve({}, { fault })
    const response = await structured(at, attributes)
    expect(response.headers.get('retry-after')).toBe(retryAfter)
    expect(await problem(response)).toMatchObject({ status, code })
  })

  test('an unknown error is 500, tells nothing of itself, and is logged', async () => {
    const { logger, lines } = keepingLogger()
    const secret = new Error('the secret')
    const { at } = await serve(
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

describe('reading', () => {
  async function filled(
    how: StartInMemory = {},
  ): Promise<{ running: RunningApp; at: Listening; place: string; partition: number }> {
    const { running, at } = await serve({}, how)
    let partition = 0
    for (const quantity of [1, 2, 3]) {
      partition = (await running.publish(OrderPlaced, { sku: 'tea', quantity })).partition
    }
    return { running, at, partition, place: `${at.url}/events?topic=shop&partition=${partition}` }
  }

  test('gives the records of a place in order, and where to read on', async () => {
    const { at: _at, place, partition } = await filled()
    const first = (await (await fetch(`${place}&limit=2`)).json()) as Page
    expect(first.records).toMatchObject([
      { topic: 'shop', partition, offset: 0, event: { data: { quantity: 1 } } },
      { topic: 'shop', partition, offset: 1, event: { data: { quantity: 2 } } },
    ])
    const second = (await (await fetch(`${place}&from=${first.next}`)).json()) as Page
    expect(second.records).toMatchObject([{ offset: 2 }])
    const third = (await (await fetch(`${place}&from=${second.next}`)).json()) as Page
    expect(third).toEqual({ records: [], next: second.next })
  })

  test('begins at the start of what is kept, and below it is 410', async () => {
    const { running, place, partition } = await filled()
    await running.engine.trim({ topic: 'shop', partition }, { before: 2 })
    expect(((await (await fetch(place)).json()) as Page).records).toMatchObject([{ offset: 2 }])
    expect(await problem(await fetch(`${place}&from=0`))).toMatchObject({
      status: 410,
      code: 'OFFSET_TRIMMED',
    })
  })

  test('a corrupt record is told with its place and how to go on', async () => {
    const corrupt = new MillraceError('RECORD_CORRUPT', 'The checksum fails.', { facts: { offset: 1 } })
    const { place, partition } = await filled({
      fault: (name) => (name === 'read:apply' ? corrupt : undefined),
    })
    expect(await problem(await fetch(place))).toMatchObject({
      status: 500,
      code: 'RECORD_CORRUPT',
      where: `shop/${partition} at 1`,
      fix: 'Read on behind it with from=2.',
    })
  })

  test.each([
    ['?partition=0', 400, 'REQUEST_INVALID', 'query topic'],
    ['?topic=shop', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=4', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=x', 400, 'REQUEST_INVALID', 'query partition'],
    ['?topic=shop&partition=0&from=-1', 400, 'REQUEST_INVALID', 'query from'],
    ['?topic=shop&partition=0&limit=0', 400, 'REQUEST_INVALID', 'query limit'],
    ['?topic=shop&partition=0&limit=1001', 400, 'REQUEST_INVALID', 'query limit'],
    ['?topic=shop&topic=shop&partition=0', 400, 'REQUEST_INVALID', 'query topic'],
    ['?topic=nowhere&partition=0', 404, 'TOPIC_UNKNOWN', 'query topic'],
  ])('%s is refused', async (query, status, code, where) => {
    const { at } = await serve()
    expect(await problem(await fetch(`${at.url}/events${query}`))).toMatchObject({ status, code, where })
  })
})

interface Page {
  readonly records: readonly { offset: number }[]
  readonly next: number
}

describe('the state of the platform', () => {
  test('topics are listed with their partitions and retention', async () => {
    const { running, at } = await serve()
    const { partition } = await running.publish(OrderPlaced, { sku: 'tea', quantity: 1 })
    const { topics } = (await (await fetch(`${at.url}/topics`)).json()) as {
      topics: { name: string; partitions: { bytes: number }[] }[]
    }
    const shop = topics.find(({ name }) => name === 'shop')
    expect(shop).toMatchObject({ name: 'shop', internal: false, retention: {} })
    expect(shop?.partitions).toHaveLength(4)
    expect(shop?.partitions[partition]).toMatchObject({ partition, start: 0, end: 1 })
    expect(shop?.partitions[partition]?.bytes).toBeGreaterThan(0)
  })

  test('handlers are listed as their status says', async () => {
    const { running, at } = await serve()
    expect(await (await fetch(`${at.url}/handlers`)).json()).toEqual({ handlers: await running.status() })
  })

  test('it is live from the start, and ready until it stops', async () => {
    const { running, at } = await serve()
    expect((await fetch(`${at.url}/health/live`)).status).toBe(200)
    expect((await fetch(`${at.url}/health/ready`)).status).toBe(200)
    await running.stop()
    expect((await fetch(`${at.url}/health/live`)).status).toBe(200)
    const response = await fetch(`${at.url}/health/ready`)
    expect(response.status).toBe(503)
    expect(response.headers.get('retry-after')).toBe('1')
  })

  test('HEAD is answered like GET, without the body', async () => {
    const { at } = await serve()
    const response = await fetch(`${at.url}/topics`, { method: 'HEAD' })
    expect(response.status).toBe(200)
    expect(await response.text()).toBe('')
  })

  test('a wrong path is 404, and a wrong method is 405 with what is allowed', async () => {
    const { at } = await serve()
    expect(await problem(await fetch(`${at.url}/event`))).toMatchObject({ status: 404, code: 'NOT_FOUND' })
    const response = await fetch(`${at.url}/events`, { method: 'DELETE' })
    expect(response.headers.get('allow')).toBe('POST, HEAD, GET')
    expect(await problem(response)).toMatchObject({ status: 405, code: 'METHOD_NOT_ALLOWED' })
  })
})

describe('nobody from outside is let in', () => {
  test.each(['0.0.0.0', '::', '192.168.0.1', 'example.com'])('it does not listen on %s', async (host) => {
    const running = await startInMemory({ name: 'shop' })
    ends.push(() => running.stop())
    await expect(servePlatform(running, { port: 0, host })).rejects.toMatchObject({
      code: 'HOST_NOT_ALLOWED',
    })
  })

  test('a request for another host name is refused', async () => {
    const { at } = await serve()
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { host: `attacker.example:${at.port}` }
      httpRequest(`${at.url}/topics`, { headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
    expect(status).toBe(403)
  })

  test('a port that is taken is PORT_IN_USE', async () => {
    const { running, at } = await serve()
    await expect(servePlatform(running, { port: at.port })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      where: `port ${at.port}`,
    })
  })
})

/** Sends lines as they are and gives everything that is answered until the other side ends. */
function raw(port: number, lines: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let answered = ''
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      answered += chunk
      if (answered.includes('\r\n\r\n')) socket.end()
    })
    socket.on('end', () => resolve(answered))
    socket.on('error', reject)
    socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  })
}
