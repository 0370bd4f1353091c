import type { Offset } from '../log/port.ts'
import type { OpenDeadLetter } from './dead-letter.ts'
import type { DeadLetterSelection, DeadLetterSummary } from './dead-letter-list.ts'
import type { InternalTopics } from './internal-topics.ts'
import type { PartitionState } from './partition-state.ts'
import { placeOfDeadLetter, stateLayout } from './state-layout.ts'

/** A partition of one group of handlers that this process owns. */
export interface OpenPartition {
  readonly group: string
  readonly partition: number
  readonly internal: InternalTopics
  readonly state: PartitionState
}

/** A dead letter that is open, and where it was found. */
export interface FoundDeadLetter {
  readonly letter: DeadLetterSummary
  readonly at: OpenPartition
  /** The id of the event that holds all of it. */
  readonly eventId: string
}

const pageKeys = 256
const all = { first: 'dead-letter/', end: 'dead-letter0' } as const

/**
 * The dead letters that are open in some partitions, in the order of those and of their keys, from a cursor on. Each is as
 * it was when it was come to.
 */
export async function* openDeadLetters(
  partitions: readonly OpenPartition[],
  selection: DeadLetterSelection,
  after?: string,
): AsyncGenerator<FoundDeadLetter> {
  const cursor = after === undefined ? undefined : parseCursor(after)
  for (const at of partitions) {
    const order = cursor === undefined ? 1 : comparePartitions(at, cursor)
    if (order < 0) continue
    const key = order === 0 ? cursor?.key : undefined
    for await (const found of inPartition(at, selection.handler, key)) {
      if (selection.group === undefined || selection.group === found.letter.fingerprint) yield found
    }
  }
}

/** The cursor behind a dead letter. */
export function cursorOf({ letter, at }: FoundDeadLetter): string {
  return `${at.group}/${at.partition}/${letter.handler}/${letter.topic}/${letter.offset}`
}

/** In the order in which they are listed. */
export function comparePartitions(
  a: Pick<OpenPartition, 'group' | 'partition'>,
  b: Pick<OpenPartition, 'group' | 'partition'>,
): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1
  return a.partition - b.partition
}

/** A dead letter as it is listed, from its key and value. */
export function foundOf(at: OpenPartition, key: string, text: string): FoundDeadLetter {
  const place = placeOfDeadLetter(key)
  const { id: eventId, ...open } = JSON.parse(text) as OpenDeadLetter
  const { partition } = at
  const id = `${place.handler}/${place.topic}/${partition}/${place.offset}`
  return { letter: { id, ...place, partition, ...open }, at, eventId }
}

async function* inPartition(
  at: OpenPartition,
  handler: string | undefined,
  after: string | undefined,
): AsyncGenerator<FoundDeadLetter> {
  const prefix = handler === undefined ? all.first : `${all.first}${handler}/`
  const end = handler === undefined ? all.end : `${all.first}${handler}0`
  for (let from = after === undefined || after < prefix ? prefix : `${after}\u0000`; ; ) {
    const found = await at.state.range(from, end, pageKeys)
    for (const { key, text } of found) yield foundOf(at, key, text)
    const last = found.at(-1)
    if (last === undefined || found.length < pageKeys) return
    from = `${last.key}\u0000`
  }
}

/** A cursor is made of what it stands behind; anything else of that form stands somewhere, too. */
export function parseCursor(
  cursor: string,
): { readonly group: string; readonly partition: number; readonly key: string } | undefined {
  const found = /^([^/]+)\/(\d{1,6})\/([^/]+)\/([^/]+)\/(\d{1,16})$/.exec(cursor)
  if (found === null) return undefined
  const [, group = '', partition, handler = '', topic = '', offset] = found
  return {
    group,
    partition: Number(partition),
    key: stateLayout.deadLetter(handler, topic, Number(offset) as Offset),
  }
}
