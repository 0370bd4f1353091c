import type { Offset } from '../log/port.ts'
import type { OpenDeadLetter } from './dead-letter.ts'
import type { DeadLetterGroup, DeadLetterSummary } from './dead-letter-list.ts'
import type { Owned, StateRow } from './queries.ts'
import { placeOfDeadLetter, stateLayout } from './state-layout.ts'

/** A dead letter that is open, and where it was found. */
export interface FoundDeadLetter {
  readonly letter: DeadLetterSummary
  readonly at: Owned
  /** The id of the event that holds all of it. */
  readonly eventId: string
}

/** The cursor behind a dead letter. */
export function cursorOf({ letter, at }: FoundDeadLetter): string {
  return `${at.group}/${at.partition}/${letter.handler}/${letter.topic}/${letter.offset}`
}

/** In the order in which they are listed. */
export function comparePartitions(a: Owned, b: Owned): number {
  if (a.group !== b.group) return a.group < b.group ? -1 : 1
  return a.partition - b.partition
}

/** A dead letter as it is listed, from its row. */
export function foundOf(at: Owned, { key, text }: StateRow): FoundDeadLetter {
  const place = placeOfDeadLetter(key)
  const { id: eventId, ...open } = JSON.parse(text) as OpenDeadLetter
  const { partition } = at
  const id = `${place.handler}/${place.topic}/${partition}/${place.offset}`
  return { letter: { id, ...place, partition, ...open }, at, eventId }
}

/** The group that a dead letter is of, alone. */
export function groupOf({ fingerprint, handler, error, atMs, id }: DeadLetterSummary): DeadLetterGroup {
  return { fingerprint, handler, error, count: 1, firstMs: atMs, lastMs: atMs, latest: id }
}

/** Adds a group to those of other causes, or to what is known of its own. */
export function addGroup(groups: Map<string, DeadLetterGroup>, group: DeadLetterGroup): void {
  const known = groups.get(group.fingerprint)
  if (known === undefined) {
    groups.set(group.fingerprint, group)
    return
  }
  const later = group.lastMs >= known.lastMs ? group : known
  groups.set(group.fingerprint, {
    ...later,
    count: known.count + group.count,
    firstMs: Math.min(known.firstMs, group.firstMs),
  })
}

/** The most frequent groups first. */
export function byCount(groups: ReadonlyMap<string, DeadLetterGroup>): DeadLetterGroup[] {
  return [...groups.values()].sort((a, b) => b.count - a.count)
}

/** A cursor is made of what it stands behind; anything else of that form stands somewhere, too. */
export function parseCursor(cursor: string): (Owned & { readonly key: string }) | undefined {
  const found = /^([^/]+)\/(\d{1,6})\/([^/]+)\/([^/]+)\/(\d{1,16})$/.exec(cursor)
  if (found === null) return undefined
  const [, group = '', partition, handler = '', topic = '', offset] = found
  return {
    group,
    partition: Number(partition),
    key: stateLayout.deadLetter(handler, topic, Number(offset) as Offset),
  }
}
