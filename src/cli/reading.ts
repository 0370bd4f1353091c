import type { Bounds, Offset, Place } from '../log/port.ts'
import type { LogAccess, ShownRecord } from './access/port.ts'

/** Where to begin: at the start, at the end, at an offset of one place, or at a time. */
export type From = 'start' | 'end' | Offset | Date

/** What is read. */
export interface Reading {
  readonly access: LogAccess
  readonly places: readonly (Place & Bounds)[]
}

const pageRecords = 100

/**
 * The records of several places up to their ends as they were, each place in its own order, and among the places the one
 * whose event happened first. Holds one page of each place.
 */
export async function* mergePlaces(
  { access, places }: Reading,
  from: From,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<ShownRecord> {
  if (from === 'end') return
  const heads: { record: ShownRecord; rest: AsyncGenerator<ShownRecord> }[] = []
  for (const place of places) {
    const rest = recordsOf(access, place, from === 'start' ? place.start : from)
    const first = await rest.next()
    if (!first.done) heads.push({ record: first.value, rest })
  }
  for (let given = 0; given < limit && heads.length > 0; given += 1) {
    const head = heads.reduce((best, other) =>
      other.record.event.time < best.record.event.time ? other : best,
    )
    yield head.record
    const next = await head.rest.next()
    if (next.done) heads.splice(heads.indexOf(head), 1)
    else head.record = next.value
  }
}

/** The `count` records that happened last, the oldest of them first. */
export async function* newest(reading: Reading, count: number): AsyncGenerator<ShownRecord> {
  const places = reading.places.map((place) => ({
    ...place,
    start: Math.max(place.start, place.end - count),
  }))
  const kept: ShownRecord[] = []
  for await (const record of mergePlaces({ ...reading, places }, 'start')) {
    kept.push(record)
    if (kept.length > 2 * count) kept.splice(0, kept.length - count)
  }
  yield* kept.slice(-count)
}

async function* recordsOf(
  access: LogAccess,
  place: Place & Bounds,
  from: Offset | Date,
): AsyncGenerator<ShownRecord> {
  for (let next = from; next instanceof Date || next < place.end; ) {
    const page = await access.read(place, next, pageRecords)
    for (const record of page.records) {
      if (record.offset >= place.end) return
      yield record
    }
    if (page.records.length === 0) return
    next = page.next
  }
}
