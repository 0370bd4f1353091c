import { isMillraceError, MillraceError, messageOf } from '../core/errors.ts'
import type { AnyEventType, Event } from '../core/event.ts'
import { decodeEvent } from '../core/event-codec.ts'
import { validate } from '../core/schema.ts'

/** Turns stored bytes into the event that handlers see. */
export type EventReader = (stored: Uint8Array) => Event

/**
 * Reads stored events in the versions that an application declares: one of an older version is upcast, and the result is
 * held to the schema. Throws `EVENT_UNREADABLE` for one of a newer version, and for one that cannot be upcast.
 */
export function eventReader(events: ReadonlyMap<string, AnyEventType>): EventReader {
  return (stored) => {
    const event = decodeEvent(stored)
    const type = events.get(event.type)
    return type === undefined || versionOf(event) === type.version ? event : upcast(event, type)
  }
}

function versionOf(event: Event): number {
  return event.dataversion ?? 1
}

function upcast(event: Event, type: AnyEventType): Event {
  const version = versionOf(event)
  if (version > type.version) {
    throw unreadable(event, `it has version ${version}, and this application reads up to ${type.version}`)
  }
  try {
    const given: unknown = type.upcast?.(event.data, version)
    const data = validate(type.schema, given, { code: 'DATA_INVALID', what: `Upcast data of '${type.type}'` })
    if (data instanceof Promise)
      throw new TypeError('its schema is asynchronous, which reading cannot wait for')
    return Object.freeze({ ...event, dataversion: type.version, data })
  } catch (error) {
    throw unreadable(event, messageOf(error), error)
  }
}

function unreadable(event: Event, reason: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'EVENT_UNREADABLE',
    `Event '${event.id}' of '${event.type}' cannot be read: ${reason}.`,
    {
      where: `event '${event.id}', version ${versionOf(event)}`,
      fix: 'Give the event type an `upcast` that takes this version, or start the version of the application that wrote it.',
      cause,
      facts: { event },
    },
  )
}

/** The event as it is stored, for one that this application cannot read: its type and its key are known all the same. */
export function storedEventOf(error: unknown): Event | undefined {
  return isMillraceError(error, 'EVENT_UNREADABLE') ? (error.facts.event as Event) : undefined
}
