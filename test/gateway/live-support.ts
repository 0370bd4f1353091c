import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import { expect } from 'vitest'
import type { Problem } from '../../src/gateway/index.ts'
import { endAfterTest } from './support.ts'

/** A record as `/events/live` tells it. */
export interface LiveRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly event: { readonly type: string; readonly data: unknown }
}

/** Reads server-sent events, one when it is asked for one. */
export class LiveReader {
  readonly #reader: ReadableStreamDefaultReader<EventSourceMessage>
  readonly #connection: AbortController
  /** The id of the newest event that was read. */
  lastId = ''

  private constructor(body: ReadableStream<Uint8Array<ArrayBuffer>>, connection: AbortController) {
    this.#reader = body
      .pipeThrough(new TextDecoderStream())
      .pipeThrough(new EventSourceParserStream())
      .getReader()
    this.#connection = connection
  }

  /** Connects, and waits until it is followed. */
  static async open(url: string, lastEventId?: string): Promise<LiveReader> {
    const connection = new AbortController()
    const headers = lastEventId === undefined ? {} : { 'last-event-id': lastEventId }
    const response = await fetch(url, { headers, signal: connection.signal })
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toBe('text/event-stream')
    if (response.body === null) throw new Error('there is no body')
    const reader = new LiveReader(response.body, connection)
    endAfterTest(async () => reader.close())
    expect(await reader.next()).toMatchObject({ event: 'following' })
    return reader
  }

  /** The next event; undefined at the end. */
  async next(): Promise<EventSourceMessage | undefined> {
    const { value } = await this.#reader.read()
    this.lastId = value?.id ?? this.lastId
    return value
  }

  /** The next event, which must be a record. */
  async record(): Promise<LiveRecord> {
    const message = await this.next()
    expect(message?.event).toBeUndefined()
    return JSON.parse(message?.data ?? '') as LiveRecord
  }

  /** The data of the next records. */
  async data(count: number): Promise<readonly unknown[]> {
    const found: unknown[] = []
    while (found.length < count) found.push((await this.record()).event.data)
    return found
  }

  /** The next event, which must be of this type and tell a problem. */
  async problem(type: 'problem' | 'skipped'): Promise<Problem> {
    const message = await this.next()
    expect(message?.event).toBe(type)
    return JSON.parse(message?.data ?? '') as Problem
  }

  close(): void {
    this.#reader.closed.catch(() => {})
    this.#connection.abort()
  }
}
