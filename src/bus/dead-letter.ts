import type { Event } from '../core/event.ts'
import { encodeEvent, eventToJson } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Entry, Offset } from '../log/port.ts'
import { failureFingerprint } from './failure-fingerprint.ts'
import type { ErrorRecord, Failure } from './parked-entry.ts'
import type { Step } from './partition-state.ts'
import { stateLayout } from './state-layout.ts'

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

/** What the state of a partition keeps of a dead letter that is open: neither handled by a redrive nor discarded. */
export interface OpenDeadLetter {
  /** The id of the dead letter's event, which holds the rest. */
  readonly id: string
  /** When the handler gave up, in milliseconds since 1970 UTC; the dead letter's record is not older. */
  readonly atMs: number
  readonly key: string
  /** The type of the event; absent when the record could not be read. */
  readonly type?: string
  readonly attempts: number
  /** Without the stack. */
  readonly error: Omit<ErrorRecord, 'stack'>
  readonly fingerprint: string
}

const maxMessageCharacters = 300

/**
 * What a dead letter adds to a step: its record, which stays for good, and the key that says that it is open. Both go to
 * the partition of the record itself, whose owner executes a redrive. A key that is there already is replaced.
 */
export function deadLetterStep(
  place: { readonly deadLetters: string; readonly source: string },
  letter: Omit<DeadLetter, 'event'> & { readonly event: Event | undefined },
  runtime: Pick<Runtime, 'now' | 'id'>,
): Required<Pick<Step, 'puts' | 'appends'>> {
  const { event, key, handler, topic, offset } = letter
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
  const entry: Entry = {
    topic: place.deadLetters,
    partition: letter.partition,
    value: encodeEvent(wrapped),
    timeMs: nowMs,
  }
  const { stack: _stack, ...error } = letter.error
  const open: OpenDeadLetter = {
    id: wrapped.id,
    atMs: nowMs,
    key,
    ...(event === undefined ? {} : { type: event.type }),
    attempts: letter.attempts,
    error: { ...error, message: error.message.slice(0, maxMessageCharacters) },
    fingerprint: failureFingerprint(handler, letter.error),
  }
  return { puts: [[stateLayout.deadLetter(handler, topic, offset), open]], appends: [entry] }
}
