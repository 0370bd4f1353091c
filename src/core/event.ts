import { MillraceError } from './errors.ts'
import { checkOptionNames, type OptionNames, optionNames } from './options.ts'
import type { InputOf, OutputOf, Schema } from './schema.ts'

/**
 * A CloudEvents 1.0 event, with the extensions that Millrace keeps. Attribute names are the ones that CloudEvents and
 * its documented extensions give them, so what is stored is what any other CloudEvents tool reads.
 */
export interface Event<Data = unknown, Type extends string = string> {
  readonly specversion: '1.0'
  /** Unique within `source`. A UUIDv7 unless the publisher supplied one. */
  readonly id: string
  /** Where it happened: a URI reference. The application's name unless the publisher says otherwise. */
  readonly source: string
  readonly type: Type
  /** When it happened: RFC 3339, in UTC when Millrace set it. */
  readonly time: string
  readonly subject?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  /** What order and state are kept by, at most 512 bytes of UTF-8; without it the `subject`, else the `id`. */
  readonly partitionkey?: string
  /** The id of the event that the whole chain began with. */
  readonly correlationid?: string
  /** The id of the event whose handler emitted this one. */
  readonly causationid?: string
  /** W3C Trace Context, passed on from the event that caused this one. */
  readonly traceparent?: string
  /** How many handlers the chain has passed through; absent at its start. */
  readonly hops?: number
  /** The version of the event type that the data has; absent for 1. */
  readonly dataversion?: number
  /** Of an event of a stream: which one it is in it, counted from 1. Set by the append alone. */
  readonly streamversion?: number
  /** Where the publisher waits for this event to be handled; see `publish` with `wait`. */
  readonly millracereplyto?: string
  /** The only handler that this event is for; see `send`. */
  readonly millraceto?: string
  /** On the way to a handler with a key of its own: that key. */
  readonly millracekey?: string
  /** On the way to a handler with a key of its own: true for what it catches up with silently. */
  readonly millracesilent?: boolean
  /** The last handlers of a chain that has become long, each behind the type of the event that it handled. */
  readonly millracepath?: string
  /** True when a rule has moved the event to this topic: rules have had their say. */
  readonly millracemoved?: boolean
  /** A string, a number, a boolean, null, JSON or bytes, as it went in. Frozen: handlers share one copy. */
  readonly data: Data
}

/** An event from outside: a checked CloudEvent whose data has not been validated and whose time may be missing. */
export type IncomingEvent = Omit<Event, 'time'> & { readonly time?: string }

/** The most bytes of UTF-8 that a key may have. */
export const maxKeyBytes = 512
/** The most bytes that a stored event may have, unless set otherwise. */
export const defaultMaxEventBytes = 512 * 1024

/**
 * The key of an event: its `partitionkey`, else its `subject`, else its `id` (so that it has an order of its own). On the way
 * to a handler with a key of its own it is that one.
 */
export function keyOf(event: Pick<Event, 'millracekey' | 'partitionkey' | 'subject' | 'id'>): string {
  return event.millracekey ?? event.partitionkey ?? event.subject ?? event.id
}

/** Throws `KEY_INVALID` or `KEY_TOO_LONG` unless `key` can be a key; returns it. */
export function checkKey(key: unknown, where: string): string {
  if (typeof key !== 'string' || !key.isWellFormed()) {
    throw new MillraceError(
      'KEY_INVALID',
      `A key must be a string of valid Unicode, not ${describeValue(key)}.`,
      {
        where,
        fix: 'Return a string from `key`, or send a string as `partitionkey`.',
      },
    )
  }
  const bytes = key.length * 3 <= maxKeyBytes ? 0 : Buffer.byteLength(key)
  if (bytes > maxKeyBytes) {
    throw new MillraceError(
      'KEY_TOO_LONG',
      `A key has at most ${maxKeyBytes} bytes of UTF-8; this one has ${bytes}.`,
      {
        where,
        fix: 'Use a shorter key, such as an identifier or a hash of the long value.',
      },
    )
  }
  return key
}

function describeValue(value: unknown): string {
  if (typeof value === 'string') return 'a string with a lone surrogate'
  return value === null ? 'null' : typeof value
}

/** Options of {@link event}. */
export interface EventOptions<S extends Schema> {
  /** Any Standard Schema validator. Runs once, where the event enters; its output is what is stored. */
  readonly schema: S
  /** Picks what order and state are kept by. Without it: the event's `subject`, else its `id`. */
  readonly key?: (data: OutputOf<S>) => string
  /** The version of the data: a whole number, 1 unless given. Raise it when what was stored no longer fits the schema. */
  readonly version?: number
  /**
   * Reads data of older versions, which stay in the log as they are: handlers see what this gives. Required from version 2
   * on. A record that it throws for, or whose result does not fit the schema, is a dead letter with the reason.
   */
  readonly upcast?: Upcast
  /** The topic it is kept in. Without it: the application's own topic, which bears the application's name. */
  readonly topic?: string
}

/** The names of {@link EventOptions}. */
export const eventOptionNames = {
  schema: true,
  key: true,
  version: true,
  upcast: true,
  topic: true,
} as const
const ofEvent = optionNames<EventOptions<Schema>>(eventOptionNames)

/** A declared event type: its name, its schema and what its order is kept by. Made by {@link event}. */
export interface EventType<Type extends string = string, Input = unknown, Output = Input> {
  readonly type: Type
  readonly schema: Schema<Input, Output>
  readonly key: ((data: Output) => string) | undefined
  readonly topic: string | undefined
  readonly version: number
  readonly upcast: Upcast | undefined
}

/** Turns the data of an older version into what the schema takes now. Must not change what it is given, nor wait. */
export type Upcast = (data: unknown, version: number) => unknown

/** Any declared event type, whatever its data. */
export interface AnyEventType {
  readonly type: string
  readonly schema: Schema
  readonly key: ((data: never) => string) | undefined
  readonly topic: string | undefined
  readonly version: number
  readonly upcast: Upcast | undefined
}

/** What a publisher passes for an event type. */
export type DataInputOf<T> = T extends EventType<string, infer Input, infer _Output> ? Input : never
/** The event that a handler of an event type receives. */
export type EventOf<T> =
  T extends EventType<infer Type, infer _Input, infer Output> ? Event<Output, Type> : never

const typePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/
const topicPattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

/**
 * Declares an event type: dot-separated tokens of letters, digits, `_` and `-`, such as `shop.order.placed`.
 * Throws `TypeError` for a name, schema, key or topic that cannot work, and for an option that there is not.
 */
export function event<const Type extends string, S extends Schema>(
  type: Type,
  options: EventOptions<S>,
): EventType<Type, InputOf<S>, OutputOf<S>> {
  return declareEvent(type, options, ofEvent)
}

/** As {@link event}, for what has more options. */
export function declareEvent<const Type extends string, S extends Schema>(
  type: Type,
  options: EventOptions<S>,
  names: OptionNames,
): EventType<Type, InputOf<S>, OutputOf<S>> {
  const isName = typeof type === 'string' && type.length <= 128 && typePattern.test(type)
  if (!isName || type.startsWith('millrace.')) {
    throw new TypeError(
      `event: '${String(type)}' is no event type; use dot-separated words such as 'order.placed', not under 'millrace.'`,
    )
  }
  checkOptionNames(`event '${type}'`, options, names)
  if (typeof options?.schema?.['~standard']?.validate !== 'function') {
    throw new TypeError(`event '${type}': 'schema' must be a Standard Schema validator, such as a zod schema`)
  }
  if (options.key !== undefined && typeof options.key !== 'function') {
    throw new TypeError(`event '${type}': 'key' must be a function from the data to a string`)
  }
  if (options.topic !== undefined) checkTopicName(options.topic)
  const version = checkVersion(type, options.version ?? 1, options.upcast)
  return Object.freeze({
    type,
    schema: options.schema as Schema<InputOf<S>, OutputOf<S>>,
    key: options.key,
    topic: options.topic,
    version,
    upcast: options.upcast,
  })
}

function checkVersion(type: string, version: number, upcast: Upcast | undefined): number {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new TypeError(`event '${type}': 'version' must be a whole number, at least 1`)
  }
  if (upcast === undefined ? version > 1 : typeof upcast !== 'function' || version === 1) {
    throw new TypeError(`event '${type}': 'upcast' must be a function from version 2 on, and only then`)
  }
  return version
}

/** Throws `TypeError` unless `name` can name a topic of a user; returns it. Names under `millrace.` are internal. */
export function checkTopicName(name: string): string {
  if (
    typeof name !== 'string' ||
    name.length > 128 ||
    !topicPattern.test(name) ||
    name.startsWith('millrace.')
  ) {
    throw new TypeError(`'${String(name)}' is no topic name; use dot-separated words, not under 'millrace.'`)
  }
  return name
}
