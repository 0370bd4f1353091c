import { isDeepStrictEqual } from 'node:util'
import type { Event } from '../core/event.ts'
import { decodeEvent } from '../core/event-codec.ts'

/**
 * How a stored event and one with the same fingerprint compare: `other` when source or id differ (the fingerprints
 * collided), `same` when type, key, subject and data are equal too, `changed` when the id was reused for something else.
 * The time is not compared: a publisher that retries may have been given a new one.
 */
export function compareEvents(stored: Uint8Array, incoming: Uint8Array): 'other' | 'same' | 'changed' {
  const before = decodeEvent(stored)
  const now = decodeEvent(incoming)
  if (before.source !== now.source || before.id !== now.id) return 'other'
  const equal =
    before.type === now.type &&
    before.partitionkey === now.partitionkey &&
    before.subject === now.subject &&
    isDeepStrictEqual(comparable(before), comparable(now))
  return equal ? 'same' : 'changed'
}

/** A delayed event's data names when it is due, which a retry computes anew. */
function comparable(event: Event): unknown {
  if (event.type !== 'millrace.delayed') return event.data
  const { dueMs: _dueMs, event: inner, ...rest } = event.data as { dueMs: number; event: string }
  const { time: _time, ...innerEvent } = JSON.parse(inner) as { time: string }
  return { ...rest, innerEvent }
}
