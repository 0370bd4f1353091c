import { crc32 } from 'node:zlib'
import type { Offset } from '../../log/port.ts'
import type { Row } from './connection.ts'

/**
 * A block is a row: the records that one transaction appended to one place, or some of them. Its value is their values, one behind
 * the other. The offset and the time of the row are those of its last record. Its head has for each record where its value ends (4
 * bytes), the CRC-32 of that (4), how far its offset is below that of the row (4), and its time (8), which is at least that of the row of
 * the place when it was stored. A row of earlier versions has one record and no head.
 */
const headBytes = 20
const maxBlockBytes = 16 * 1024
const maxSpan = 2 ** 32

/** The checksum of stored bytes. */
export function checksumOf(value: Uint8Array): number {
  return crc32(value)
}

/** A record to be stored. */
export interface NewRecord {
  readonly offset: Offset
  readonly timeMs: number
  readonly value: Uint8Array
}

/** A row to be stored; the bytes of its head and its value are given as parts. */
export interface NewBlock {
  readonly offset: Offset
  readonly timeMs: number
  readonly head: Buffer
  readonly values: readonly Uint8Array[]
  /** Of all values. */
  readonly bytes: number
}

/** Divides records of one place, in the order of their offsets, into blocks. */
export function blocksOf(records: readonly NewRecord[]): NewBlock[] {
  const blocks: NewBlock[] = []
  let from = 0
  while (from < records.length) {
    const to = endOfBlock(records, from)
    blocks.push(blockOf(records.slice(from, to)))
    from = to
  }
  return blocks
}

function endOfBlock(records: readonly NewRecord[], from: number): number {
  const first = records[from] as NewRecord
  let bytes = first.value.length
  let to = from + 1
  for (; to < records.length; to += 1) {
    const { offset, value } = records[to] as NewRecord
    bytes += value.length
    if (bytes > maxBlockBytes || offset - first.offset >= maxSpan) break
  }
  return to
}

function blockOf(records: readonly NewRecord[]): NewBlock {
  const { offset, timeMs } = records.at(-1) as NewRecord
  const head = Buffer.allocUnsafe(records.length * headBytes)
  let position = 0
  let bytes = 0
  for (const record of records) {
    bytes += record.value.length
    head.writeUInt32BE(bytes, position)
    head.writeUInt32BE(checksumOf(record.value), position + 4)
    head.writeUInt32BE(offset - record.offset, position + 8)
    head.writeDoubleBE(record.timeMs, position + 12)
    position += headBytes
  }
  return { offset, timeMs, head, values: records.map(({ value }) => value), bytes }
}

/** The columns of a block without its value, as {@link Block} takes them. */
export const headColumns =
  '"offset", time_ms, least_time_ms, appended_bytes, checksum, head, octet_length(value) as size'

/** A row as it was read, with its value or with only its size. */
export class Block {
  /** How many records it has. */
  readonly count: number
  /** The offset of its last record. */
  readonly last: Offset
  /** The bytes of all records of the place up to its last one. */
  readonly appendedBytes: number
  /** Whether its head is as it was written; otherwise nothing is known of its records. */
  readonly isReadable: boolean
  readonly #head: Buffer
  readonly #leastTimeMs: number
  readonly #size: number
  readonly #value: Buffer | undefined

  constructor(row: Row) {
    this.last = Number(row.offset)
    this.appendedBytes = Number(row.appended_bytes)
    this.#leastTimeMs = Number(row.least_time_ms ?? Number.NEGATIVE_INFINITY)
    this.#value = row.value as Buffer | undefined
    this.#size = this.#value?.length ?? Number(row.size)
    const stored = row.head as Buffer | null
    this.#head = stored ?? headOfOne(row, this.#size)
    this.isReadable = stored === null || checksumOf(stored) === Number(row.checksum)
    this.count = this.#head.length / headBytes
  }

  /** The index of the first record at or above an offset; `count` where there is none. */
  indexFrom(offset: Offset): number {
    return this.#first((index) => this.offsetAt(index) >= offset)
  }

  /** The index of the first record of at least a time. */
  indexFromTime(timeMs: number): number {
    return this.#first((index) => this.timeMsAt(index) >= timeMs)
  }

  /** The index of the first record up to which at least so many bytes were appended to the place. */
  indexFromBytes(bytes: number): number {
    return this.#first((index) => this.appendedBefore(index + 1) >= bytes)
  }

  offsetAt(index: number): Offset {
    return this.last - this.#head.readUInt32BE(index * headBytes + 8)
  }

  timeMsAt(index: number): number {
    return Math.max(this.#leastTimeMs, this.#head.readDoubleBE(index * headBytes + 12))
  }

  /** The bytes of all records of the place before this one. */
  appendedBefore(index: number): number {
    return this.appendedBytes - this.#size + this.#startOf(index)
  }

  /** The value of a record; undefined when it is damaged. */
  valueAt(index: number): Uint8Array | undefined {
    const end = this.#startOf(index + 1)
    const value = this.#value?.subarray(this.#startOf(index), end)
    if (value === undefined || checksumOf(value) !== this.#head.readUInt32BE(index * headBytes + 4))
      return undefined
    return new Uint8Array(value)
  }

  #startOf(index: number): number {
    return index === 0 ? 0 : this.#head.readUInt32BE((index - 1) * headBytes)
  }

  #first(holds: (index: number) => boolean): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (holds(middle)) high = middle
      else low = middle + 1
    }
    return low
  }
}

function headOfOne(row: Row, size: number): Buffer {
  const head = Buffer.alloc(headBytes)
  head.writeUInt32BE(size, 0)
  head.writeUInt32BE(Number(row.checksum), 4)
  head.writeDoubleBE(Number(row.time_ms), 12)
  return head
}
