import type { Event } from '../core/event.ts'
import { encodeEvent, eventToJson } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Entry, Offset } from '../log/port.ts'
import type { ErrorRecord, Failure } from './parked-entry.ts'

/** The event type of a dead letter. */
export const deadLetterType = 'millrace.dead-letter'

/** The data of a dead letter: a record whose handler gave up, with its whole history. */
export interface DeadLetter {
  readonly handler: string
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly key: string
  /** Why the handler gave up. */
  readonly error: ErrorRecord
  readonly attempts: number
  readonly failures: readonly Failure[]
  /** The event in the CloudEvents JSON format; null when the record could not be read. */
  readonly event: unknown
}

/** Builds the entry of a dead letter. It goes to the partition of the record itself, whose owner executes a redrive. */
export function deadLetterEntry(
  place: { readonly deadLetters: string; readonly source: string },
  letter: Omit<DeadLetter, 'event'> & { readonly event: Event | undefined },
  runtime: Pick<Runtime, 'now' | 'id'>,
): Entry {
  const { event, key } = letter
  const nowMs = runtime.now()
  const data: DeadLetter = { ...letter, event: event === undefined ? null : JSON.parse(eventToJson(event)) }
  const wrapped: Event = {
    specversion: '1.0',
    id: runtime.id(),
    source: place.source,
    type: deadLetterType,
    time: new Date(nowMs).toISOString(),
    partitionkey: key,
    ...(event === undefined ? {} : { correlationid: event.correlationid ?? event.id, causationid: event.id }),
    data,
  }
  return { topic: place.deadLetters, partition: letter.partition, value: encodeEvent(wrapped), timeMs: nowMs }
}
