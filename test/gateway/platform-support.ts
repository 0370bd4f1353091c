import { connect } from 'node:net'
import { expect } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { type Listening, type PlatformOptions, type Problem, servePlatform } from '../../src/gateway/index.ts'
import { endAfterTest, type StartInMemory, startInMemory } from './support.ts'

/** An event type that takes any data. */
export const AnyHappened = event('any.happened', { schema: z.unknown() })
/** An event type with a schema and a key. */
export const OrderPlaced = event('order.placed', {
  schema: z.object({ sku: z.string(), quantity: z.int().positive() }),
  key: (data) => data.sku,
})

/** An event type of a topic that no handler reads, so that nothing keeps its records. */
export const NoteKept = event('note.kept', { schema: z.string(), key: () => 'all', topic: 'notes' })

const takeOrder = on(OrderPlaced, { name: 'take-order', from: 'start' }, () => {})

/** What taking events answers. */
export interface Taken {
  readonly accepted: number
  readonly records: readonly { topic: string; partition: number; offset: number; duplicate?: boolean }[]
}

/** Serves the platform's port of an application with both event types, until the test ends. */
export async function serveShop(
  options: PlatformOptions = {},
  how: StartInMemory = {},
): Promise<{ running: RunningApp; at: Listening }> {
  const running = await startInMemory(
    { name: 'shop', handlers: [takeOrder], events: [AnyHappened, NoteKept] },
    how,
  )
  const at = await servePlatform(running, { port: 0, ...options })
  endAfterTest(() => at.close())
  return { running, at }
}

/** Posts a body to `/events`. */
export function post(at: Listening, headers: Record<string, string>, body?: RequestInit['body'], query = '') {
  return fetch(`${at.url}/events${query}`, { method: 'POST', headers, body: body ?? null })
}

/** Posts one event in structured mode. */
export function structured(at: Listening, value: object, query = ''): Promise<Response> {
  return post(at, { 'content-type': 'application/cloudevents+json' }, JSON.stringify(value), query)
}

/** The problem document of an answer, which must be well formed. */
export async function problem(response: Response): Promise<Problem> {
  expect(response.headers.get('content-type')).toContain('application/problem+json')
  const body = (await response.json()) as Problem
  expect(body.status).toBe(response.status)
  expect(body.type).toBe(`urn:millrace:error:${body.code}`)
  expect(body.title).not.toBe('')
  expect(body.detail).not.toBe('')
  return body
}

/** Sends lines as they are and gives everything that is answered until the other side ends. */
export function raw(port: number, lines: readonly string[]): Promise<string> {
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
