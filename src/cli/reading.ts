import type { Bounds, Offset, Place } from '../log/port.ts'
import type { LogAccess, ShownRecord } from './access/port.ts'

/** Where to begin: at the start, at the end, at an offset of one place, or at a time. */
export type From = 'start' | 'end' | Offset | Date

/** What is read. */
export interface Reading {
  readonly access: LogAccess
  readonly places: readonly (Place & Bounds)[]
  /** Which records are wanted; all unless given. */
  readonly isWanted?: (record: ShownRecord) => boolean
}

const pageRecords = 100

/**
 * The records of several places up to their ends as they were, each place in its own order, and among the places the one
 * whose event happened first. Holds one page of each place.
 */
export async function* mergePlaces(
  reading: Reading,
  from: From,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<ShownRecord> {
  if (from === 'end') return
  const sources = reading.places.map((place) =>
    recordsOf(reading, place, from === 'start' ? place.start : from),
  )
  let given = 0
  for await (const record of merged(sources)) {
    yield record
    given += 1
    if (given >= limit) return
  }
}

/** The `count` records that happened last, the oldest of them first. Holds as many of each place. */
export async function* newest(reading: Reading, count: number): AsyncGenerator<ShownRecord> {
  const sources: AsyncIterator<ShownRecord>[] = []
  for (const place of reading.places) {
    const last = await lastOf(reading, place, count)
    sources.push(
      (async function* () {
        yield* last
      })(),
    )
  }
  let kept: ShownRecord[] = []
  for await (const record of merged(sources)) {
    kept.push(record)
    if (kept.length >= 2 * count) kept = kept.slice(-count)
  }
  yield* kept.slice(-count)
}

/** The last records of a place. Offsets may skip, so it looks ever further back until there are enough. */
async function lastOf(reading: Reading, place: Place & Bounds, count: number): Promise<ShownRecord[]> {
  for (let span = count; ; span *= 4) {
    const from = Math.max(place.start, place.end - span)
    let found: ShownRecord[] = []
    for await (const record of recordsOf(reading, place, from)) {
      found.push(record)
      if (found.length >= 2 * count) found = found.slice(-count)
    }
    if (found.length >= count || from === place.start) return found.slice(-count)
  }
}

async function* merged(sources: readonly AsyncIterator<ShownRecord>[]): AsyncGenerator<ShownRecord> {
  const heads: { record: ShownRecord; readonly rest: AsyncIterator<ShownRecord> }[] = []
  for (const rest of sources) {
    const first = await rest.next()
    if (!first.done) heads.push({ record: first.value, rest })
  }
  while (heads.length > 0) {
    const head = heads.reduce((best, other) => (happenedMs(other) < happenedMs(best) ? other : best))
    yield head.record
    const next = await head.rest.next()
    if (next.done) heads.splice(heads.indexOf(head), 1)
    else head.record = next.value
  }
}

function happenedMs({ record }: { readonly record: ShownRecord }): number {
  return Date.parse(record.event.time)
}

async function* recordsOf(
  { access, isWanted = () => true }: Reading,
  place: Place & Bounds,
  from: Offset | Date,
): AsyncGenerator<ShownRecord> {
  for (let next = from; next instanceof Date || next < place.end; ) {
    const page = await access.read(place, next, pageRecords)
    for (const record of page.records) {
      if (record.offset >= place.end) return
      if (isWanted(record)) yield record
    }
    if (page.records.length === 0) return
    next = page.next
  }
}
