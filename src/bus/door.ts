import { checkAttribute, parseAttributes } from '../core/cloud-event.ts'
import { MillraceError } from '../core/errors.ts'
import {
  type AnyEventType,
  checkKey,
  defaultMaxEventBytes,
  type Event,
  type IncomingEvent,
  keyOf,
} from '../core/event.ts'
import { encodeCopied, encodeEvent, jsonCopy, notCopied } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import { validate } from '../core/schema.ts'
import { dataOfType } from '../core/xml-text.ts'
import { partitionOf } from '../log/partition.ts'
import { deduplicationIdOf } from './deduplication-id.ts'
import { type EventAttributes, madeEvent } from './made-event.ts'
import type { KnownEntry } from './record-cache.ts'

/** The event types of a stream. */
export interface StreamEvents {
  readonly name: string
  readonly events: readonly AnyEventType[]
}

/** What a door needs to know. */
export interface DoorOptions {
  readonly runtime: Pick<Runtime, 'now' | 'id'>
  readonly partitions: number
  /** The `source` of events whose publisher gives none. */
  readonly source: string
  /** The topic of event types that name none. */
  readonly topic: string
  readonly maxEventBytes?: number | undefined
  /** The event types that the application declares, by their names. */
  readonly events?: ReadonlyMap<string, AnyEventType>
  /** Whose events come in by appends alone, so that each has its version. */
  readonly streams?: readonly StreamEvents[]
  /** Whether what is admitted will be read in this process: then its entry has the event too, which need not be parsed. */
  readonly isRead?: boolean
}

/** An event that has passed the door: valid, encoded, and with its place. */
export class Admitted {
  readonly event: Event
  readonly entry: KnownEntry

  constructor(event: Event, entry: KnownEntry) {
    this.event = event
    this.entry = entry
  }
}

/**
 * An entry on its way. No literal: while a process starts, those outlive a collection of its few young objects, and V8 then takes
 * all that come for such as live long, and keeps them and what they refer to until it collects all garbage.
 */
class AdmittedEntry implements KnownEntry {
  readonly topic: string
  readonly partition: number
  readonly value: Uint8Array
  readonly timeMs: number
  readonly event: Event | undefined
  declare deduplicationId?: string

  constructor(topic: string, partition: number, value: Uint8Array, timeMs: number, event: Event | undefined) {
    this.topic = topic
    this.partition = partition
    this.value = value
    this.timeMs = timeMs
    this.event = event
  }
}

/**
 * The one way into the log: every event, published or emitted, is validated, completed, keyed, encoded and measured here,
 * once. What does not fit is refused with a code and changes nothing.
 */
export class Door {
  readonly #options: DoorOptions
  readonly #maxEventBytes: number
  /** What may be admitted by each name that the application declares; null where that is of a stream. */
  readonly #admissible: ReadonlyMap<string, AnyEventType | null>
  #time = { ms: Number.NaN, text: '' }

  constructor(options: DoorOptions) {
    this.#options = options
    this.#maxEventBytes = options.maxEventBytes ?? defaultMaxEventBytes
    const ofStreams = (options.streams ?? []).flatMap(({ events }) => events)
    this.#admissible = new Map<string, AnyEventType | null>([
      ...(options.events ?? []),
      ...ofStreams.map(({ type }) => [type, null] as const),
    ])
  }

  /** The topic that events of a type are kept in. */
  topicOf(type: AnyEventType): string {
    return type.topic ?? this.#options.topic
  }

  /**
   * Admits data of a type. Asynchronous only when its schema is. Throws `TypeError` for another type than the one that the
   * application declares by that name: its handlers are to see what they were declared for; and `EVENT_OF_STREAM` for one of a
   * stream, whose events come in by {@link admitEvent} with their versions.
   */
  admit(
    type: AnyEventType,
    data: unknown,
    attributes: EventAttributes,
    topic?: string,
  ): Admitted | Promise<Admitted> {
    this.checkAdmissible(type)
    const output = validated(type, data, attributes.datacontenttype)
    if (output instanceof Promise)
      return output.then((settled) => this.#complete(type, settled, attributes, topic))
    return this.#complete(type, output, attributes, topic)
  }

  /** As {@link admit}, an event from outside, with whatever attributes it has. */
  admitIncoming(type: AnyEventType, event: IncomingEvent, topic?: string): Admitted | Promise<Admitted> {
    this.checkAdmissible(type)
    const output = validated(type, event.data, event.datacontenttype)
    if (output instanceof Promise)
      return output.then((settled) => this.#complete(type, settled, event, topic, event))
    return this.#complete(type, output, event, topic, event)
  }

  /** Throws as {@link admit} does for a type that it never admits. */
  checkAdmissible(type: AnyEventType): void {
    const declared = this.#admissible.get(type.type)
    if (declared === undefined || declared === type) return
    const stream = this.#options.streams?.find(({ events }) => events.some((each) => each.type === type.type))
    throw stream === undefined ? declaredTwice(type.type) : eventOfStream(type.type, stream.name)
  }

  /** The data of an event that is put together elsewhere, as it is stored, and the key that its type gives it. */
  async check(
    type: AnyEventType,
    data: unknown,
    datacontenttype: string | undefined,
  ): Promise<{ readonly data: unknown; readonly key: string | undefined }> {
    const output = await validated(type, data, datacontenttype)
    return { data: dataOfType(output, datacontenttype), key: keyGiven(type, output) }
  }

  /** Admits an event that is complete already, of a type that need not be declared. */
  admitEvent(event: Event, topic: string, deduplicate: boolean): Admitted {
    const at = { topic, deduplicate, nowMs: this.#options.runtime.now() }
    return this.#place({ event, value: encodeEvent(event), isKnown: false }, at)
  }

  #place({ event, value, isKnown }: Encoded, { topic, deduplicate, nowMs }: Destination): Admitted {
    if (value.length > this.#maxEventBytes) {
      throw new MillraceError(
        'EVENT_TOO_LARGE',
        `An event has at most ${this.#maxEventBytes} bytes; this one has ${value.length}.`,
        {
          where: `event '${event.type}'`,
          fix: 'Keep the large part elsewhere and publish a reference to it, or raise maxEventBytes.',
        },
      )
    }
    const partition = partitionOf(checkKey(keyOf(event), 'partitionkey'), this.#options.partitions)
    const known = isKnown ? event : undefined
    const entry = new AdmittedEntry(topic, partition, value, nowMs, known)
    if (deduplicate) entry.deduplicationId = deduplicationIdOf(event, partition)
    return new Admitted(event, entry)
  }

  /** Many events have the same millisecond. */
  #timeText(ms: number): string {
    if (ms !== this.#time.ms) this.#time = { ms, text: new Date(ms).toISOString() }
    return this.#time.text
  }

  /** `outside`: the event as it came from there, which may have attributes that are none of {@link EventAttributes}. */
  #complete(
    type: AnyEventType,
    data: unknown,
    attributes: EventAttributes,
    topic: string | undefined,
    outside?: IncomingEvent,
  ): Admitted {
    const { runtime, source } = this.#options
    const partitionkey = type.key === undefined ? attributes.partitionkey : keyGiven(type, data)
    const nowMs = runtime.now()
    // XML stays text, also where a schema would give something else.
    const whole = dataOfType(data, attributes.datacontenttype)
    // Where the event is read in this process, a frozen copy of its data is encoded: so handlers can be given that very event,
    // whatever its publisher does to the data meanwhile, and nothing is parsed.
    const copy = this.#options.isRead ? jsonCopy(whole) : notCopied
    const isKnown = copy !== notCopied
    const event = madeEvent({
      id: attributes.id ?? runtime.id(),
      source: attributes.source ?? source,
      type: type.type,
      time: attributes.time ?? this.#timeText(nowMs),
      attributes,
      outside,
      partitionkey,
      // What passes the door fits the schema of now, whatever version an outsider claims.
      dataversion: type.version === 1 ? undefined : type.version,
      data: isKnown ? copy : whole,
    })
    return this.#encode(event, isKnown, {
      topic: topic ?? this.topicOf(type),
      deduplicate: attributes.id !== undefined,
      nowMs,
    })
  }

  #encode(event: Event, isKnown: boolean, at: Destination): Admitted {
    if (isKnown) Object.freeze(event)
    const value = isKnown ? encodeCopied(event) : encodeEvent(event)
    return this.#place({ event, value, isKnown }, at)
  }
}

interface Encoded {
  readonly event: Event
  readonly value: Uint8Array
  /** Whether reading the value would give this very event. */
  readonly isKnown: boolean
}

interface Destination {
  readonly topic: string
  readonly deduplicate: boolean
  readonly nowMs: number
}

function validated(type: AnyEventType, data: unknown, datacontenttype: string | undefined): unknown {
  const given = dataOfType(data, datacontenttype)
  return validate(type.schema, given, { code: 'DATA_INVALID', what: `Data of '${type.type}'` })
}

function keyGiven(type: AnyEventType, data: unknown): string | undefined {
  return type.key === undefined
    ? undefined
    : checkKey(type.key(data as never), `key of event type '${type.type}'`)
}

function eventOfStream(type: string, stream: string): MillraceError {
  return new MillraceError('EVENT_OF_STREAM', `Event '${type}' belongs to the stream '${stream}'.`, {
    where: `event type '${type}'`,
    fix: `Append it to the stream, which gives it its version: append(${stream}, id, events).`,
    facts: { type, stream },
  })
}

function declaredTwice(type: string): TypeError {
  return new TypeError(
    `event type '${type}' is declared twice: this is not the one of the application; declare it once and import it`,
  )
}

/** What only the bus itself writes into an event. */
const ownAttributes: ReadonlySet<string> = new Set([
  'millracereplyto',
  'millraceto',
  'millracekey',
  'millracesilent',
  'millracemoved',
  'millracepath',
  'streamversion',
])

/** Refuses an event whose author claims what only the bus itself says: `EVENT_INVALID`. */
export function refuseOwnAttributes(attributes: object): void {
  for (const name of Object.keys(attributes)) {
    if (!ownAttributes.has(name) || (attributes as Readonly<Record<string, unknown>>)[name] === undefined)
      continue
    throw new MillraceError('EVENT_INVALID', `The attribute '${name}' is set by Millrace alone.`, {
      where: name,
      fix: 'Leave it out.',
    })
  }
}

/** The attributes of a caller are held to CloudEvents as those of an event from outside are: `EVENT_INVALID`. */
export function checkAttributes(given: EventAttributes, type: string): void {
  const attributes = given as Readonly<Record<string, unknown>>
  for (const name in attributes) {
    const value = attributes[name]
    if (value === undefined) continue
    if (value !== null) checkAttribute(name, value, name)
    else parseAttributes({ specversion: '1.0', id: 'any', source: 'any', type, [name]: value }, () => name)
  }
}
