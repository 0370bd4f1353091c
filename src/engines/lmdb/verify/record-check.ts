import type { Finding } from '../../../log/verification.ts'
import { Block, maxBlockRecords } from '../block.ts'
import { numberIn, offsetIn } from '../keys.ts'
import type { Row } from '../store.ts'
import type { CatalogCheck, KnownPlace } from './catalog-check.ts'
import { damage, rowInvalid } from './damage.ts'

const damagedFix =
  'Restore the log from a backup if the event matters, and check the disk. Handlers pass over it, and say so.'
const indexFix =
  'Restore the log from a backup. Without one, a start by time and a trim by age or size may be off here.'

/** A record that matches its checksum. */
export interface WholeRecord {
  readonly topicId: number
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
  readonly value: Uint8Array
}

/**
 * Verifies blocks of records in the order of their keys: that none is missing between two, that each record is whole, and
 * that the times and the bytes before them, by which records are found, never fall and fit together.
 */
export class RecordCheck {
  /** How many records there were, damaged ones too. */
  count = 0
  readonly #catalog: CatalogCheck
  readonly #tell: (record: WholeRecord) => void
  #at = { topicId: -1, partition: -1 }
  #lastTimeMs = Number.NEGATIVE_INFINITY
  #lastBytesBefore = 0
  /** What the next block has before it; undefined behind a damaged one, whose size may not be what it was. */
  #bytesBefore: number | undefined

  /** `tell` is called with each record that is whole. */
  constructor(catalog: CatalogCheck, tell: (record: WholeRecord) => void) {
    this.#catalog = catalog
    this.#tell = tell
  }

  /** Verifies the next block. */
  block(row: Row): Finding[] {
    const topicId = numberIn(row.key, 1, 4)
    const partition = numberIn(row.key, 5, 2)
    const last = offsetIn(row.key)
    const place = this.#catalog.placeOf(topicId, partition, 'block')
    if (place === undefined) return []
    const block = Block.open(row)
    if (topicId !== this.#at.topicId || partition !== this.#at.partition) {
      this.#at = { topicId, partition }
      this.#begin(place, block?.offsetAt(0) ?? last)
    }
    const name = this.#catalog.nameOf(this.#at)
    if (last < place.start) {
      const problem = `The place starts at ${place.start}, and a block of records below it is still there.`
      return [damage('record-below-start', `${name}@${last}`, problem, indexFix)]
    }
    const { end } = place
    place.end = last + 1
    if (block === undefined) return this.#allDamaged(name, end, last)
    return [
      ...this.#checkOrder(name, block, { end, isFirst: end === place.start }),
      ...this.#checkSize(name, block, place.start),
      ...this.#checkRecords(name, block, place.start),
    ]
  }

  #begin(place: KnownPlace, first: number): void {
    if (place.bytesBeforeStart === undefined) Object.assign(place, { start: first, end: first })
    this.#lastTimeMs = Number.NEGATIVE_INFINITY
    this.#bytesBefore = place.bytesBeforeStart
    this.#lastBytesBefore = place.bytesBeforeStart ?? 0
  }

  /** What a block holds whose head is damaged is known only by the end of the one before and by its own key. */
  #allDamaged(name: string, end: number, last: number): Finding[] {
    this.#bytesBefore = undefined
    const first = Math.max(end, last + 1 - maxBlockRecords)
    const findings: Finding[] = first > end ? [missing(name, end, first)] : []
    for (let offset = first; offset <= last; offset += 1) findings.push(recordDamaged(name, offset))
    this.count += last + 1 - first
    return findings
  }

  /** The first block that is left of a place may begin before its start. */
  #checkOrder(name: string, block: Block, { end, isFirst }: { end: number; isFirst: boolean }): Finding[] {
    const { follows } = block
    if (follows > end) {
      this.#bytesBefore = undefined
      return [missing(name, end, follows)]
    }
    if (follows === end || isFirst) return []
    const problem = `The block says that it follows offset ${follows}, and the one before it ends at ${end}.`
    return [rowInvalid(`${name}@${block.last}`, problem)]
  }

  #checkSize(name: string, block: Block, start: number): Finding[] {
    const index = block.indexFrom(start)
    const before = block.bytesBeforeAt(index)
    const isOff =
      this.#bytesBefore === undefined ? !(before >= this.#lastBytesBefore) : before !== this.#bytesBefore
    const expected = this.#bytesBefore ?? `at least ${this.#lastBytesBefore}`
    // One wrong number is one finding: the next block is compared with what this one should have said.
    this.#lastBytesBefore = this.#bytesBefore ?? before
    this.#bytesBefore = this.#lastBytesBefore + block.bytesBeforeAt(block.count) - before
    if (!isOff) return []
    const problem = `It says that ${before} bytes are before it; there are ${expected}.`
    return [damage('record-size', `${name}@${block.offsetAt(index)}`, problem, indexFix)]
  }

  #checkRecords(name: string, block: Block, start: number): Finding[] {
    const findings: Finding[] = []
    let areAllWhole = true
    for (let index = block.indexFrom(start); index < block.count; index += 1) {
      const offset = block.offsetAt(index)
      const timeMs = block.timeMsAt(index)
      this.count += 1
      if (!(timeMs >= this.#lastTimeMs)) {
        const problem = `Its time ${timeMs} is before ${this.#lastTimeMs}, that of a record before it.`
        findings.push(damage('record-time', `${name}@${offset}`, problem, indexFix))
      } else this.#lastTimeMs = timeMs
      const value = block.valueAt(index)
      if (value !== undefined) this.#tell({ ...this.#at, offset, timeMs, value })
      else {
        areAllWhole = false
        findings.push(recordDamaged(name, offset))
      }
    }
    if (block.isWhole || !areAllWhole) return findings
    const problem = 'The block does not match its checksum, but each of its records from the start on does.'
    return [
      ...findings,
      damage('block-damaged', `${name}@${block.last}`, problem, 'Check the disk; no record is lost.'),
    ]
  }
}

function missing(name: string, from: number, to: number): Finding {
  const last = to - 1 === from ? '' : ` to ${to - 1}`
  return damage('record-missing', `${name}@${from}`, `There is no record at ${from}${last}.`)
}

function recordDamaged(name: string, offset: number): Finding {
  return damage('record-damaged', `${name}@${offset}`, 'The record does not match its checksum.', damagedFix)
}
