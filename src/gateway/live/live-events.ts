import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../../app/running.ts'
import { MillraceError } from '../../core/errors.ts'
import { eventToJson } from '../../core/event-codec.ts'
import { matchesAnyType, typePatternFault } from '../../core/type-pattern.ts'
import { parameters } from '../parameters.ts'
import { problemOf, reportable } from '../problem.ts'
import { EventStream } from './event-stream.ts'
import { type FollowedRecord, Follower } from './follower.ts'

/** What live events are bounded by. */
export const liveBounds = {
  /** How many connections there are at most. */
  connections: 64,
  /** How long a reader may take to make room before it is dropped. */
  stallMs: 10_000,
  /** After how long without an event a sign of life is sent. */
  idleMs: 15_000,
} as const

const headers = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store',
  'x-accel-buffering': 'no',
}

/** Answers `GET /events/live?topic&type`. Every connection reads the log for itself, from where it stands. */
export class LiveEvents {
  readonly #running: RunningApp
  readonly #closing = new AbortController()
  #connections = 0

  constructor(running: RunningApp) {
    this.#running = running
  }

  /**
   * Sends events as server-sent events until either side ends. `OVERLOADED` when there are too many readers already,
   * `TOPIC_UNKNOWN` and `REQUEST_INVALID` for what cannot be followed.
   */
  async answer(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const given = parameters(request.query, ['topic', 'type'])
    const types = listed(given.type)
    checkTypes(types)
    if (this.#connections >= liveBounds.connections) throw overloaded()
    this.#connections += 1
    try {
      const follower = await Follower.begin({
        engine: this.#running.engine,
        topics: given.topic === undefined ? undefined : listed(given.topic),
        after: lastEventId(request),
      })
      if (request.method === 'HEAD') return reply.headers(headers).send()
      reply.hijack()
      await this.#serve(
        new EventStream(reply.raw, this.#running.runtime, liveBounds.stallMs),
        follower,
        types,
      )
      return reply
    } finally {
      this.#connections -= 1
    }
  }

  /** Ends every connection. */
  close(): void {
    this.#closing.abort(new Error('The port is closing.'))
  }

  async #serve(stream: EventStream, follower: Follower, types: readonly string[]): Promise<void> {
    const stop = new AbortController()
    const end = () => stop.abort(new Error('It has ended.'))
    for (const signal of [stream.closed, this.#closing.signal]) {
      if (signal.aborted) end()
      signal.addEventListener('abort', end, { once: true })
    }
    const connection = new Connection(stream, follower, types)
    try {
      stream.begin(headers)
      await Promise.race([connection.send(stop.signal), connection.beat(this.#running, stop.signal)])
    } catch (error) {
      stream.end(stop.signal.aborted ? undefined : this.#last(error))
    } finally {
      this.#closing.signal.removeEventListener('abort', end)
      end()
    }
  }

  #last(error: unknown): { readonly event: string; readonly data: string } {
    const reported = reportable(error, { maxBodyBytes: 0 })
    if (reported.code === 'INTERNAL') this.#running.logger.error({ err: error }, 'Live events have failed.')
    return { event: 'problem', data: JSON.stringify(problemOf(reported)) }
  }
}

/** One reader. */
class Connection {
  readonly #stream: EventStream
  readonly #follower: Follower
  readonly #types: readonly string[]
  /** Whether an event was sent since the last beat, and the id of the last one. */
  #sentSinceBeat = false
  #lastId = ''

  constructor(stream: EventStream, follower: Follower, types: readonly string[]) {
    this.#stream = stream
    this.#follower = follower
    this.#types = types
  }

  /** Sends what comes; ends only by an error. */
  async send(signal: AbortSignal): Promise<never> {
    await this.#event('following', this.#following())
    for await (const step of this.#follower.steps(signal)) {
      this.#follower.pass(step)
      signal.throwIfAborted()
      if ('error' in step) await this.#event('skipped', JSON.stringify(problemOf(step.error)))
      else if (matchesAnyType(this.#types, step.event.type)) await this.#event(undefined, recordJson(step))
    }
    throw new Error('Following does not end.')
  }

  /** Gives a sign of life whenever nothing was sent for long; ends only by an error. */
  async beat({ runtime }: RunningApp, signal: AbortSignal): Promise<never> {
    for (;;) {
      await runtime.sleep(liveBounds.idleMs, signal)
      const idle = !this.#sentSinceBeat && !this.#stream.full
      this.#sentSinceBeat = false
      if (!idle) continue
      await this.#follower.lookForTopics()
      // Records that were passed over because of their type need not be looked at again after a reconnect.
      if (this.#follower.position !== this.#lastId) await this.#event('following', this.#following())
      else this.#stream.comment('nothing new')
    }
  }

  #following(): string {
    return JSON.stringify({ topics: this.#follower.topics })
  }

  #event(event: string | undefined, data: string): Promise<void> {
    this.#sentSinceBeat = true
    this.#lastId = this.#follower.position
    return this.#stream.send({ ...(event === undefined ? {} : { event }), id: this.#lastId, data })
  }
}

function recordJson({ at, offset, event }: FollowedRecord): string {
  const place = `"topic":${JSON.stringify(at.topic)},"partition":${at.partition},"offset":${offset}`
  return `{${place},"event":${eventToJson(event)}}`
}

function listed(value: string | undefined): readonly string[] {
  return value === undefined ? [] : [...new Set(value.split(','))]
}

function lastEventId({ raw }: FastifyRequest): string | undefined {
  const value = raw.headers['last-event-id']
  return typeof value === 'string' && value !== '' ? value : undefined
}

function checkTypes(patterns: readonly string[]): void {
  for (const pattern of patterns) {
    const fault = typePatternFault(pattern)
    if (fault === undefined) continue
    throw new MillraceError('REQUEST_INVALID', `The pattern '${pattern}' ${fault}.`, {
      where: 'query type',
      fix: "Use words with dots between them; '*' stands for one word, '>' at the end for all that follow.",
    })
  }
}

function overloaded(): MillraceError {
  return new MillraceError(
    'OVERLOADED',
    `${liveBounds.connections} readers of live events are connected already.`,
    {
      fix: 'Close one of them, or come back after a moment.',
    },
  )
}
