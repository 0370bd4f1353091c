import { MillraceError } from '../core/errors.ts'
import type { AnyEventType, Event, IncomingEvent } from '../core/event.ts'
import { encodeEvent } from '../core/event-codec.ts'
import { checkDuration, checkOptionNames, optionNames } from '../core/options.ts'
import { plainObjects } from '../core/plain-object.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Appended, Entry, LogEngine, Place } from '../log/port.ts'
import { type Admitted, checkAttributes, type Door, refuseOwnAttributes } from './door.ts'
import { ingestProgressedType, ingestTopic, isInternalTopic } from './internal-topics.ts'
import type { EventAttributes } from './made-event.ts'
import type { Observers } from './observers.ts'
import { PublishRoom } from './publish-room.ts'
import type { RecordCache } from './record-cache.ts'
import type { Waiter } from './waiting-publishers.ts'

/** Options of `publish`. */
export interface PublishOptions {
  /** Makes publishing idempotent: the same `source` and `id` again, within the deduplication window, is handled once. */
  readonly id?: string
  readonly source?: string
  readonly time?: Date
  readonly subject?: string
  /** The media type of the data; JSON unless given. XML is kept as text: `application/xml`, `text/xml`, `…+xml`. */
  readonly datacontenttype?: string
  readonly correlationid?: string
  readonly traceparent?: string
  /** A topic other than the event type's. */
  readonly topic?: string
  /** Appended to its topic only after this many milliseconds. */
  readonly delay?: number
  /** Appended to its topic only at this time. */
  readonly at?: Date
  /**
   * `handled`: resolves only once every handler of this application that matches now has handled the event, whichever
   * process it ran in; what those handlers emit is not waited for. `HANDLER_FAILED` when one gave up, `WAIT_TIMEOUT` after
   * `waitTimeoutMs`, and `ALREADY_PUBLISHED` for an id that is in the log already; the event is durable in all three.
   */
  readonly wait?: 'handled'
  /** How long `wait` may take; 30 s unless given. */
  readonly waitTimeoutMs?: number
  /** Gives up waiting; an append that has begun is not taken back. */
  readonly signal?: AbortSignal
}

const names = optionNames<PublishOptions>({
  id: true,
  source: true,
  time: true,
  subject: true,
  datacontenttype: true,
  correlationid: true,
  traceparent: true,
  topic: true,
  delay: true,
  at: true,
  wait: true,
  waitTimeoutMs: true,
  signal: true,
})

/** Options of `publishIn`. What waits, or can be given up, is the transaction. */
export type PublishInOptions = Omit<PublishOptions, 'wait' | 'waitTimeoutMs' | 'signal'>

/** An event that was published in a transaction: it has no offset before that is committed. */
export interface PublishedIn extends Place {
  readonly id: string
}

const namesIn = optionNames<PublishInOptions>({
  id: true,
  source: true,
  time: true,
  subject: true,
  datacontenttype: true,
  correlationid: true,
  traceparent: true,
  topic: true,
  delay: true,
  at: true,
})

/** Options of `send`. */
export type SendOptions = Omit<PublishOptions, 'topic'>

/** What the bus writes into an event that is published. */
type Extension = Pick<EventAttributes, 'millracereplyto' | 'millraceto'>

/** A published event's place. */
export interface Published extends Appended {
  readonly id: string
}

export type { IncomingEvent } from '../core/event.ts'

/** What a publisher works with. */
export interface PublisherOptions {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly door: Door
  readonly cache: RecordCache
  /** Told of what was appended; absent where no application runs. */
  readonly observers?: Pick<Observers, 'appended'>
  readonly events: ReadonlyMap<string, AnyEventType>
  /** The topic that delayed events wait in. */
  readonly delayedTopic: string
  /** Makes sure that a topic exists before something is appended to it. */
  ensureTopic(name: string): Promise<void> | undefined
  /** Begins to wait for the handlers of a type in a topic, or for the only one; absent where no application runs. */
  readonly beginWait?: (type: string, topic: string, to: string | undefined) => Promise<Waiter>
}

/** How long waiting takes at most, unless set otherwise. */
export const defaultWaitTimeoutMs = 30_000

/** Puts events into the log through the door. Bounded: beyond `publishBounds` publishing is `OVERLOADED`. */
export class Publisher {
  readonly #options: PublisherOptions
  readonly #room = new PublishRoom()

  constructor(options: PublisherOptions) {
    this.#options = options
  }

  /** Validates and appends one event; resolves once it is durable. */
  publish(type: AnyEventType, data: unknown, options: PublishOptions = {}): Promise<Published> {
    if (options?.wait !== undefined) return this.#publishAndWait(type, data, options, undefined)
    return this.#publish(type, data, options)
  }

  /** As {@link publish}, for the handler of this name alone. */
  async send(to: string, type: AnyEventType, data: unknown, options: SendOptions = {}): Promise<Published> {
    if ((options as PublishOptions | null)?.topic !== undefined) {
      throw new TypeError(
        "send: 'topic' cannot be given: a handler takes events from the topic of their type",
      )
    }
    if (options?.wait !== undefined) return this.#publishAndWait(type, data, options, to)
    return this.#publish(type, data, options, { millraceto: to })
  }

  /** As {@link publish}, for who waits at the given address. */
  publishFor(
    replyTo: string,
    type: AnyEventType,
    data: unknown,
    options: PublishOptions,
  ): Promise<Published> {
    return this.#publish(type, data, options, { millracereplyto: replyTo })
  }

  /** As {@link publish}, as a part of somebody else's transaction. `OUTBOX_ABSENT` where the engine has no outbox. */
  async publishIn(
    transaction: unknown,
    type: AnyEventType,
    data: unknown,
    options: PublishInOptions = {},
  ): Promise<PublishedIn> {
    const { outbox } = this.#options.engine
    if (outbox === undefined) throw outboxAbsent()
    checkOptionNames('publishIn', options, namesIn)
    const { event, entry } = await this.#admit(type, data, options, undefined)
    await outbox.enter(transaction, [entry])
    return { topic: entry.topic, partition: entry.partition, id: event.id }
  }

  #publish(
    type: AnyEventType,
    data: unknown,
    options: PublishOptions,
    extension?: Extension,
  ): Promise<Published> {
    try {
      const admitted = this.#admit(type, data, options, extension)
      if (admitted instanceof Promise) return admitted.then((later) => this.#appendOne(later, options.signal))
      return this.#appendOne(admitted, options.signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  /** Later only where the topic or the schema must be waited for. */
  #admit(
    type: AnyEventType,
    data: unknown,
    options: PublishOptions,
    extension: Extension | undefined,
  ): Admitted | Promise<Admitted> {
    checkEventType(type)
    checkOptionNames('publish', options, names)
    const { delay, at, topic, signal, time, wait: _wait, waitTimeoutMs: _waitTimeoutMs, ...given } = options
    checkAttributes(given, type.type)
    const { door, ensureTopic, runtime } = this.#options
    const rest = extension === undefined ? given : { ...given, ...extension }
    const known = topic === undefined ? ensureTopic(door.topicOf(type)) : this.#checkTopic(topic)
    const attributes: EventAttributes = time === undefined ? rest : { ...rest, time: timeText(time) }
    const admitted =
      known === undefined
        ? door.admit(type, data, attributes, topic)
        : known.then(() => door.admit(type, data, attributes, topic))
    if (delay === undefined && at === undefined) return admitted
    return Promise.resolve(admitted).then((ready) => {
      const dueMs = dueTime(options, runtime.now())
      return dueMs === undefined ? ready : this.#delayed(ready, dueMs)
    })
  }

  async #publishAndWait(
    type: AnyEventType,
    data: unknown,
    options: PublishOptions,
    to: string | undefined,
  ): Promise<Published> {
    const { beginWait, door, runtime } = this.#options
    checkWait(options)
    if (beginWait === undefined) throw new TypeError("publish: 'wait' needs a running application")
    const waiter = await beginWait(type.type, options.topic ?? door.topicOf(type), to)
    const timer = new AbortController()
    const stop = options.signal === undefined ? timer.signal : AbortSignal.any([options.signal, timer.signal])
    try {
      const published = await this.#publish(type, data, options, {
        millracereplyto: waiter.address,
        ...(to === undefined ? {} : { millraceto: to }),
      })
      if (published.duplicate) throw alreadyPublished(published)
      const timeoutMs = options.waitTimeoutMs ?? defaultWaitTimeoutMs
      const expired = runtime.sleep(timeoutMs, stop).then(() => {
        throw waitTimeout(published, timeoutMs)
      })
      await Promise.race([waiter.done, expired])
      return published
    } finally {
      waiter.end()
      timer.abort('ended')
    }
  }

  /** Validates and appends events from outside, all in one step or none. */
  accept(events: readonly IncomingEvent[], topic?: string): Promise<readonly Published[]> {
    const [event] = events
    if (event === undefined || events.length > 1 || topic !== undefined) return this.#acceptAll(events, topic)
    return this.#acceptOne(event).then((published) => [published])
  }

  #acceptOne(event: IncomingEvent): Promise<Published> {
    try {
      const admitted = this.#admitIncoming(event, undefined)
      if (admitted instanceof Promise) return admitted.then((later) => this.#appendOne(later, undefined))
      return this.#appendOne(admitted, undefined)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async #acceptAll(events: readonly IncomingEvent[], topic?: string): Promise<readonly Published[]> {
    if (topic !== undefined) await this.#checkTopic(topic)
    const admitted: Admitted[] = []
    for (const [index, event] of events.entries()) {
      try {
        const one = this.#admitIncoming(event, topic)
        admitted.push(one instanceof Promise ? await one : one)
      } catch (error) {
        throw events.length === 1 ? error : atIndex(error, index, '')
      }
    }
    return this.#append(admitted, undefined)
  }

  #admitIncoming(event: IncomingEvent, topic: string | undefined): Admitted | Promise<Admitted> {
    if (event.type === ingestProgressedType) return this.#admitProgress(event)
    const type = this.#options.events.get(event.type)
    if (type === undefined) {
      throw new MillraceError(
        'EVENT_TYPE_UNKNOWN',
        `No event type '${event.type}' is declared by this application.`,
        {
          where: 'type',
          fix: 'Declare it with event() and use it in a handler, or list it under `events` of the application.',
        },
      )
    }
    refuseOwnAttributes(event)
    return this.#options.door.admitIncoming(type, event, topic)
  }

  async #admitProgress(event: IncomingEvent): Promise<Admitted> {
    await this.#options.engine.createTopic(ingestTopic, {})
    const time = event.time ?? new Date(this.#options.runtime.now()).toISOString()
    return this.#options.door.admitEvent({ ...event, time }, ingestTopic, true)
  }

  /** A delayed event is a record of its own: the owner of its partition sets the timer and forwards it when due. */
  #delayed(admitted: Admitted, dueMs: number): Admitted {
    const { event, entry } = admitted
    const wrapped: Event = {
      ...event,
      type: 'millrace.delayed',
      data: { dueMs, topic: entry.topic, event: encodeWithin(entry.value) },
    }
    const value = encodeEvent(wrapped)
    return { event, entry: { ...entry, topic: this.#options.delayedTopic, value, event: undefined } }
  }

  async #append(
    admitted: readonly Admitted[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Published[]> {
    if (admitted.length === 0) return []
    const entering = this.#room.enter(admitted.length, signal)
    if (entering !== undefined) await entering
    try {
      const entries = admitted.map(({ entry }) => entry)
      const appended = this.#told(entries, await this.#options.engine.append(entries, signal))
      return admitted.map(({ event }, index) => published(event.id, appended[index]))
    } finally {
      this.#room.leave(admitted.length)
    }
  }

  /** Tells those in this process who follow the log of what is durable. */
  #told(entries: readonly Entry[], appended: readonly Appended[]): readonly Appended[] {
    this.#options.cache.remember(entries, appended)
    this.#options.observers?.appended(entries, appended)
    return appended
  }

  /** As {@link #append}, without the arrays, and without a function that can be suspended: this is what most publishing is. */
  #appendOne(admitted: Admitted, signal: AbortSignal | undefined): Promise<Published> {
    const entering = this.#room.enter(1, signal)
    if (entering !== undefined) return entering.then(() => this.#appendInRoom(admitted, signal))
    return this.#appendInRoom(admitted, signal)
  }

  #appendInRoom(admitted: Admitted, signal: AbortSignal | undefined): Promise<Published> {
    // Nothing but the entry and the id of the event is kept until it is durable.
    const { entry } = admitted
    const { id } = admitted.event
    return this.#options.engine.append([entry], signal).then(
      (appended) => {
        this.#room.leave(1)
        return published(id, this.#told([entry], appended)[0])
      },
      (error: unknown) => {
        this.#room.leave(1)
        throw error
      },
    )
  }

  async #checkTopic(topic: string): Promise<void> {
    const topics = await this.#options.engine.listTopics()
    const names = topics.map(({ name }) => name).filter((name) => !isInternalTopic(name))
    if (names.includes(topic)) return
    throw new MillraceError('TOPIC_UNKNOWN', `There is no topic '${topic}' to publish to.`, {
      where: 'topic',
      fix: `Use one of: ${names.join(', ')}.`,
    })
  }
}

function outboxAbsent(): MillraceError {
  return new MillraceError(
    'OUTBOX_ABSENT',
    'This log is in no database that transactions of others are on, so nothing can be published in one.',
    {
      where: 'publishIn',
      fix: 'Keep the log in the PostgreSQL database of your tables: postgres://…; or publish once the transaction is committed.',
    },
  )
}

function checkEventType(type: AnyEventType): void {
  if (typeof type?.type === 'string' && typeof type.schema?.['~standard']?.validate === 'function') return
  throw new TypeError('publish: the first argument must be an event type made by event()')
}

function checkWait(options: PublishOptions): void {
  checkDuration('publish', 'waitTimeoutMs', options.waitTimeoutMs, 0)
  if (options.wait !== 'handled')
    throw new TypeError(`publish: 'wait' must be 'handled', not '${options.wait}'`)
  if (options.delay !== undefined || options.at !== undefined) {
    throw new TypeError("publish: 'wait' cannot be combined with 'delay' or 'at'")
  }
}

function alreadyPublished(published: Published): MillraceError {
  return new MillraceError('ALREADY_PUBLISHED', `Event '${published.id}' is in the log already.`, {
    where: `topic '${published.topic}', partition ${published.partition}, offset ${published.offset}`,
    fix: 'It is durable; its handlers answer whoever published it first.',
    facts: { ...published },
  })
}

function waitTimeout(published: Published, timeoutMs: number): MillraceError {
  return new MillraceError('WAIT_TIMEOUT', `The event was not handled within ${timeoutMs} ms.`, {
    where: `topic '${published.topic}', partition ${published.partition}, offset ${published.offset}`,
    fix: 'It is durable and will be handled; wait longer, or look at the handlers.',
    facts: { ...published },
  })
}

function timeText(time: Date): string {
  if (isDate(time)) return time.toISOString()
  throw new TypeError("publish: 'time' must be a valid Date")
}

function isDate(given: unknown): given is Date {
  return given instanceof Date && !Number.isNaN(given.getTime())
}

/** When an event with these options is due; undefined when it is not delayed. Throws `TypeError` for what is no time. */
export function dueTime(
  options: { readonly delay?: number; readonly at?: Date },
  nowMs: number,
): number | undefined {
  const { at, delay } = options
  if (at === undefined && delay === undefined) return undefined
  if (delay === undefined && isDate(at)) return at.getTime()
  if (at === undefined && Number.isFinite(delay) && Number(delay) >= 0) return nowMs + Number(delay)
  throw new TypeError("either 'delay' must be a number of milliseconds, at least 0, or 'at' a valid Date")
}

/** Stored bytes as text, so that one event can travel in the data of another; see `decodeWithin`. */
function encodeWithin(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8')
}

const PublishedAt = plainObjects<Published, [appended: Appended, id: string]>(function (appended, id) {
  this.topic = appended.topic
  this.partition = appended.partition
  this.offset = appended.offset
  this.duplicate = appended.duplicate
  this.id = id
})

function published(id: string, appended: Appended | undefined): Published {
  if (appended === undefined)
    throw new MillraceError('STORAGE_FAILED', 'The engine gave no place for an appended event.')
  return new PublishedAt(appended, id)
}

/** An error of one of several, saying which it was: `list` is what they are called, and may be empty. */
export function atIndex(error: unknown, index: number, list: string): unknown {
  if (!(error instanceof MillraceError)) return error
  const place = `${list}[${index}]`
  return new MillraceError(error.code, error.message, {
    where: error.where === undefined ? place : `${place}.${error.where}`,
    fix: error.fix,
    cause: error,
    facts: { ...error.facts, index },
  })
}
