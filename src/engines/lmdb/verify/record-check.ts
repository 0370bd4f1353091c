import type { Finding } from '../../../log/verification.ts'
import { numberIn, offsetIn } from '../keys.ts'
import { unsealRecord } from '../sealed.ts'
import type { Row } from '../store.ts'
import type { CatalogCheck, KnownPlace } from './catalog-check.ts'
import { damage } from './damage.ts'

const damagedFix =
  'Restore the log from a backup if the event matters, and check the disk. Handlers pass over it, and say so.'
const indexFix =
  'Restore the log from a backup. Without one, a start by time and a trim by age or size may be off here.'

/**
 * Verifies records in the order of their keys: that every offset has one, and that the times and the bytes before them,
 * by which records are found, never fall and fit together.
 */
export class RecordCheck {
  readonly #catalog: CatalogCheck
  #at = { topicId: -1, partition: -1 }
  #lastTimeMs = Number.NEGATIVE_INFINITY
  #lastBytesBefore = 0
  /** What the next record has before it; undefined behind a damaged one, whose size may not be what it was. */
  #bytesBefore: number | undefined

  constructor(catalog: CatalogCheck) {
    this.#catalog = catalog
  }

  /** Verifies the next record. */
  record({ key, value }: Row): Finding[] {
    const topicId = numberIn(key, 1, 4)
    const partition = numberIn(key, 5, 2)
    const offset = offsetIn(key)
    const place = this.#catalog.placeOf(topicId, partition, 'record')
    if (place === undefined) return []
    if (topicId !== this.#at.topicId || partition !== this.#at.partition) {
      this.#at = { topicId, partition }
      if (place.bytesBeforeStart === undefined) Object.assign(place, { start: offset, end: offset })
      this.#lastTimeMs = Number.NEGATIVE_INFINITY
      this.#bytesBefore = place.bytesBeforeStart
      this.#lastBytesBefore = place.bytesBeforeStart ?? 0
    }
    const name = this.#catalog.nameOf({ topicId, partition })
    const findings = this.#checkOffset(name, offset, place)
    if (offset < place.start) return findings
    place.end = offset + 1
    return [...findings, ...this.#checkContent(`${name}@${offset}`, value)]
  }

  #checkOffset(name: string, offset: number, place: KnownPlace): Finding[] {
    if (offset < place.start) {
      const problem = `The place starts at ${place.start}, and this record below it is still there.`
      return [damage('record-below-start', `${name}@${offset}`, problem, indexFix)]
    }
    if (offset === place.end) return []
    this.#bytesBefore = undefined
    const last = offset - 1 === place.end ? '' : ` to ${offset - 1}`
    return [damage('record-missing', `${name}@${place.end}`, `There is no record at ${place.end}${last}.`)]
  }

  #checkContent(where: string, value: Uint8Array): Finding[] {
    const record = unsealRecord(value)
    if (record === undefined) {
      this.#bytesBefore = undefined
      return [damage('record-damaged', where, 'The record does not match its checksum.', damagedFix)]
    }
    const findings: Finding[] = []
    const { timeMs, bytesBefore } = record
    if (!(timeMs >= this.#lastTimeMs)) {
      const problem = `Its time ${timeMs} is before ${this.#lastTimeMs}, that of a record before it.`
      findings.push(damage('record-time', where, problem, indexFix))
    }
    const isOff =
      this.#bytesBefore === undefined
        ? !(bytesBefore >= this.#lastBytesBefore)
        : bytesBefore !== this.#bytesBefore
    if (isOff) {
      const expected = this.#bytesBefore ?? `at least ${this.#lastBytesBefore}`
      const problem = `It says that ${bytesBefore} bytes are before it; there are ${expected}.`
      findings.push(damage('record-size', where, problem, indexFix))
    }
    // One wrong number is one finding: the next record is compared with what this one should have said.
    if (timeMs > this.#lastTimeMs) this.#lastTimeMs = timeMs
    this.#lastBytesBefore = this.#bytesBefore ?? bytesBefore
    this.#bytesBefore = this.#lastBytesBefore + value.length
    return findings
  }
}
