import { MillraceError } from '../../core/errors.ts'
import type { Batch, ReadLimits, StoredRecord } from '../../log/port.ts'
import type { Block } from './block.ts'
import type { StoredPlace } from './stored-place.ts'

/** Reads records of a place, as the port promises it. */
export function readRecords(place: StoredPlace, from: number, limits: ReadLimits): Batch {
  if (from < place.start) throw offsetTrimmed(place, from)
  const reading = new Reading(from, limits)
  if (from < place.recordsEnd) {
    place.visitBlocks(from, (block) => reading.take(block))
    if (reading.records.length === 0) throw place.corrupt(reading.next)
  }
  const { records, next } = reading
  return { records, next: records.length === 0 ? Math.max(next, place.end) : next }
}

/** What was read so far. */
class Reading {
  readonly records: StoredRecord[] = []
  next: number
  readonly #limits: ReadLimits
  #bytes = 0

  constructor(from: number, limits: ReadLimits) {
    this.next = from
    this.#limits = limits
  }

  /** Takes the records of the next block, up to a damaged one or a limit; returns whether to go on. */
  take(block: Block | undefined): boolean {
    // Where a block is missing, the one behind it tells.
    if (block === undefined || this.next < block.follows) return false
    for (let index = block.indexFrom(this.next); index < block.count; index += 1) {
      const offset = block.offsetAt(index)
      const value = block.valueAt(index)
      if (value === undefined) {
        // What was skipped before it is not what is damaged.
        if (this.records.length === 0) this.next = offset
        return false
      }
      if (this.records.length > 0 && this.#isEnough(value.length)) return false
      this.records.push({ offset, timeMs: block.timeMsAt(index), value })
      this.#bytes += value.length
      this.next = offset + 1
    }
    return !this.#isEnough(0)
  }

  #isEnough(moreBytes: number): boolean {
    return this.records.length >= this.#limits.records || this.#bytes + moreBytes > this.#limits.bytes
  }
}

function offsetTrimmed(place: StoredPlace, from: number): MillraceError {
  return new MillraceError(
    'OFFSET_TRIMMED',
    `Records below offset ${place.start} of this place were removed; ${from} was asked for.`,
    {
      where: `${place.topic}/${place.partition}@${from}`,
      fix: `Read from offset ${place.start}.`,
      facts: { topic: place.topic, partition: place.partition, offset: from, start: place.start },
    },
  )
}
