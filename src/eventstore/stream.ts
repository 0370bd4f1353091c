import { isCommand } from '../core/command.ts'
import type { AnyEventType, DataInputOf } from '../core/event.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'

/** Options of {@link stream}. */
export interface StreamOptions<Events extends readonly AnyEventType[]> {
  /** The types of its events. A type is in one stream at most, and all of a stream are in one topic, where their order is. */
  readonly events: Events
}

const streamNames = optionNames<StreamOptions<readonly AnyEventType[]>>({ events: true })

/** The streams of one kind of aggregate, one for each of its ids. Made by {@link stream}. */
export interface StreamDefinition<T extends AnyEventType = AnyEventType> {
  readonly name: string
  readonly events: readonly T[]
}

/** An event that is to be appended: its type with the data that its schema takes. */
export type NewStreamEvent<T extends AnyEventType = AnyEventType> = T extends AnyEventType
  ? {
      readonly type: T
      readonly data: DataInputOf<T>
      readonly subject?: string
      /** The media type of the data; JSON unless given. XML is kept as text. */
      readonly datacontenttype?: string
    }
  : never

const namePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

/**
 * Declares the streams of one kind of aggregate: `stream('order', { events: [OrderPlaced, OrderCancelled] })`. Each id has a
 * stream of its own, the id being the key of its events; its version is how many there are, and an append can depend on that. Its
 * events come in by `append` alone: publishing or emitting one is `EVENT_OF_STREAM`. List it under `streams` of the application. The name is a
 * part of what is stored. Throws `TypeError` for a name or events that cannot work.
 */
export function stream<const Events extends readonly AnyEventType[]>(
  name: string,
  options: StreamOptions<Events>,
): StreamDefinition<Events[number]> {
  if (typeof name !== 'string' || name.length > 100 || !namePattern.test(name)) {
    throw new TypeError(
      `'${String(name)}' is no name of a stream; use words of letters, digits, '-' and '_', such as 'order'`,
    )
  }
  checkOptionNames(`stream '${name}'`, options, streamNames)
  const events: readonly AnyEventType[] = options?.events
  if (
    !Array.isArray(events) ||
    events.length === 0 ||
    events.some((type) => typeof type?.type !== 'string')
  ) {
    throw new TypeError(`stream '${name}': 'events' must list one or more event types made by event()`)
  }
  const [{ topic }] = events as [AnyEventType]
  const other = events.find((type) => type.topic !== topic)
  if (other !== undefined) {
    throw new TypeError(`stream '${name}': '${other.type}' is in another topic, and order holds within one`)
  }
  const asked = events.find(isCommand)
  if (asked !== undefined) {
    throw new TypeError(`stream '${name}': '${asked.type}' is a command; its events are what came of it`)
  }
  return Object.freeze({ name, events: Object.freeze([...events]) as readonly Events[number][] })
}
