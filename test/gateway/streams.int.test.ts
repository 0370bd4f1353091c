import { expect, test } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/core/event.ts'
import { stream } from '../../src/eventstore/stream.ts'
import { type Listening, servePlatform } from '../../src/gateway/index.ts'
import { problem, structured } from './platform-support.ts'
import { endAfterTest, startInMemory } from './support.ts'

const Placed = event('shop.placed', { schema: z.object({ sku: z.string() }) })
const Order = stream('order', { events: [Placed] })
const placed = { type: Placed.type, data: { sku: 'tea' } }

async function serve() {
  const running = await startInMemory({ name: 'shop', streams: [Order] })
  const at = await servePlatform(running, { port: 0 })
  endAfterTest(() => at.close())
  return at
}

function append(at: Listening, body: object): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${at.url}/streams/append`, { method: 'POST', headers, body: JSON.stringify(body) })
}

const versionOf = (at: Listening, query: string) => fetch(`${at.url}/streams/version?${query}`)

test('POST /streams/append appends if the stream has the version, once for an id; GET /streams/version tells it', async () => {
  const at = await serve()
  const to = { stream: 'order', id: 'a/b', appendId: 'one', source: '/test', correlationid: 'c' }
  for (const _ of ['sent', 'sent again']) {
    const done = await append(at, { ...to, events: [placed, placed], expectedVersion: 0 })
    expect(done.status).toBe(200)
    expect(await done.json()).toEqual({ version: 2, ids: ['one.1', 'one.2'] })
  }
  const late = await append(at, { stream: 'order', id: 'a/b', events: [placed], expectedVersion: 0 })
  expect(late.status).toBe(409)
  expect(await problem(late)).toMatchObject({
    code: 'VERSION_CONFLICT',
    facts: { stream: 'order', id: 'a/b', expectedVersion: 0, version: 2 },
  })
  expect(await (await versionOf(at, 'stream=order&id=a%2Fb')).json()).toEqual({ version: 2 })
  expect(await (await versionOf(at, 'stream=order&id=c')).json()).toEqual({ version: 0 })
})

test.each([
  [{ id: 'a', events: [placed] }, 'STREAM_UNKNOWN'],
  [{ stream: 'other', id: 'a', events: [placed] }, 'STREAM_UNKNOWN'],
  [{ stream: 'order', events: [placed] }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a' }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a', events: [placed], more: 1 }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a', events: [placed], appendId: 7 }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a', events: [null] }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a', events: [{ ...placed, more: 1 }] }, 'REQUEST_INVALID'],
  [{ stream: 'order', id: 'a', events: [] }, 'APPEND_INVALID'],
  [{ stream: 'order', id: 'a', events: [{ type: 'shop.other' }] }, 'APPEND_INVALID'],
  [{ stream: 'order', id: 'a', events: [{}] }, 'APPEND_INVALID'],
  [{ stream: 'order', id: 'a', events: [placed], expectedVersion: 'none' }, 'APPEND_INVALID'],
  [{ stream: 'order', id: 'a', events: [placed], expectedVersion: null }, 'APPEND_INVALID'],
  [{ stream: 'order', id: 'a', events: [{ ...placed, data: {} }] }, 'DATA_INVALID'],
  [{ stream: 'order', id: 'a', events: [{ ...placed, subject: 7 }] }, 'EVENT_INVALID'],
])('POST /streams/append of %j is %s', async (body, code) => {
  expect(await problem(await append(await serve(), body))).toMatchObject({ code })
})

test('what is no stream, or no append, is refused', async () => {
  const at = await serve()
  expect(await problem(await versionOf(at, 'stream=other&id=a'))).toMatchObject({ code: 'STREAM_UNKNOWN' })
  expect(await problem(await versionOf(at, 'stream=order'))).toMatchObject({ code: 'REQUEST_INVALID' })
  const published = await structured(at, { specversion: '1.0', id: '1', source: '/x', ...placed })
  expect(published.status).toBe(400)
  expect(await problem(published)).toMatchObject({ code: 'EVENT_OF_STREAM' })
  const got = await fetch(`${at.url}/streams/append`)
  expect(await problem(got)).toMatchObject({ code: 'METHOD_NOT_ALLOWED' })
})
