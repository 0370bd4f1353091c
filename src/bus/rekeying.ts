import { MillraceError, messageOf, TerminalError } from '../core/errors.ts'
import { checkKey, type Event, keyOf } from '../core/event.ts'
import { encodeEvent } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import { partitionOf } from '../log/partition.ts'
import type { Entry, LogEngine, Place } from '../log/port.ts'
import { type Outcome, Succeeded } from './attempt.ts'
import { noEffects } from './context.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { PartitionState } from './partition-state.ts'
import { endOfPrefix, placeOfDeadLetter } from './state-layout.ts'

/** What handing a record on to the partition of another key needs. */
export interface RekeyTools {
  readonly rekeyedTopic: string
  readonly partitions: number
  readonly runtime: Pick<Runtime, 'now'>
}

/** Whether a handler orders events, and keeps state, by a key of its own. */
export function isRekeyed(definition: HandlerDefinition): boolean {
  return definition.kind === 'on' && definition.options.key !== undefined
}

/** Whether an event waits, in the topic of re-keyed records, for the key that it could not be given on the way there. */
export function awaitsKey(definition: HandlerDefinition, event: Event): boolean {
  return isRekeyed(definition) && event.millracekey === undefined
}

/**
 * What an attempt at an event that awaits its key comes to: it fails for good as long as there is none. One that was handed
 * back may have one since: it is handed on.
 */
export function attemptKey(definition: HandlerDefinition, event: Event, tools: RekeyTools): Outcome {
  try {
    const appends = [rekeyedEntry(event, ownKey(definition, event), tools)]
    return new Succeeded({ ...noEffects, appends })
  } catch (cause) {
    const error = new TerminalError(`The event has no key for this handler: ${messageOf(cause)}`, {
      where: `key of handler '${definition.name}'`,
      fix: 'Let `key` give a string of at most 512 bytes for every event, then hand the dead letter back.',
      cause,
    })
    return { kind: 'failed', error }
  }
}

/**
 * Trims the re-keyed records of a place that are done, were handed on before `beforeTimeMs`, and are older than any open
 * dead letter of the handlers: handing that back reads it again.
 */
export async function trimRekeyed(
  place: Place,
  handlers: readonly HandlerDefinition[],
  { engine, state, beforeTimeMs }: { engine: LogEngine; state: PartitionState; beforeTimeMs: number },
): Promise<void> {
  let before = await engine.offsetAt(place, beforeTimeMs)
  for (const { name } of handlers.filter(isRekeyed)) {
    const prefix = `dead-letter/${name}/${place.topic}/`
    const [oldest] = await state.range(prefix, endOfPrefix(prefix), 1)
    if (oldest !== undefined) before = Math.min(before, placeOfDeadLetter(oldest.key).offset)
  }
  await engine.trim(place, { before })
}

/** The key that a handler gives to an event. Throws what `key` throws, and `KEY_INVALID` or `KEY_TOO_LONG`. */
export function ownKey(definition: HandlerDefinition, event: Event): string {
  const given: unknown = definition.options.key?.(event.data as never)
  // A promise is no key; that it rejects must not count as unhandled.
  if (given instanceof Promise) given.catch(() => {})
  return checkKey(given, `key of handler '${definition.name}'`)
}

/**
 * The event itself with its new key, or without one. It keeps its id, and the commit that appends it marks the record done
 * that it stands for: nothing is doubled.
 */
export function rekeyedEntry(event: Event, key: string | undefined, tools: RekeyTools): Entry {
  const rekeyed: Event = key === undefined ? event : { ...event, millracekey: key }
  return {
    topic: tools.rekeyedTopic,
    partition: partitionOf(keyOf(rekeyed), tools.partitions),
    value: encodeEvent(rekeyed),
    timeMs: tools.runtime.now(),
  }
}

/** The error of a handler that was given a key of its own while it holds keys of its topic. */
export function holdsFormerKeys(handler: string, topic: string, partition: number): MillraceError {
  return new MillraceError(
    'HANDLER_VANISHED',
    `Handler '${handler}' has a key of its own now, and holds keys of topic '${topic}'.`,
    {
      where: `handler '${handler}', partition ${partition}`,
      fix: 'Redrive or discard what it holds first, or give the handler with the new key a new name.',
      facts: { handler, topic, partition },
    },
  )
}
