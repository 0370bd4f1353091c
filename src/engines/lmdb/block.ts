import { crc32 } from 'node:zlib'
import { offsetIn } from './keys.ts'
import { recordHash } from './record-hash.ts'

/**
 * A block is the value of one row: the records that one transaction appended to one place, or a part of them. Numbers are
 * big-endian, and every part begins at a multiple of four bytes.
 *
 * | bytes | what |
 * | --- | --- |
 * | 4 | CRC-32 of the row's key and of all from the number of records on |
 * | 4 | CRC-32 of the row's key and of the head from there on |
 * | 2 | how many records |
 * | 2 | 0: their offsets follow one another, up to that of the row's key; 1: each is given |
 * | 8 | the end of the place before this block: offsets from there up to its first record were skipped |
 * | 8 | the bytes of all earlier records of the place, removed ones too |
 * | 16 or 24 a record | where its value ends behind the head (4), its hash (4), its time (8), its offset where given (8) |
 * | | the values, each filled up with zeros |
 *
 * So one checksum verifies a block, and where it fails the head says which records there are, and their hashes which are whole.
 */
const fixedHeadBytes = 28
const headChecksumAt = 4
const headContentAt = 8
const layouts = { consecutive: 0, offsetsGiven: 1 } as const
const headBytesOf = [16, 24] as const

/** The most bytes of a block of more than one record. */
export const maxBlockBytes = 64 * 1024
/** More records than this no block has. */
export const maxBlockRecords = maxBlockBytes / headBytesOf[layouts.consecutive]

/** What a record counts for; its share of what a block has only once is left out. */
export function recordBytes(valueBytes: number): number {
  return headBytesOf[layouts.consecutive] + filledUp(valueBytes)
}

function filledUp(bytes: number): number {
  return (bytes + 3) & ~3
}

/** Records of one place, in the order of their offsets. */
export interface Records {
  readonly offsets: readonly number[]
  readonly timesMs: readonly number[]
  readonly values: readonly Uint8Array[]
  /** The sum of their {@link recordBytes}. */
  readonly bytes: number
}

/** What is to become a block: the records from one index up to, not including, another. */
export interface BlockPlan {
  readonly layout: (typeof layouts)[keyof typeof layouts]
  readonly from: number
  readonly to: number
  /** The sum of their {@link recordBytes}. */
  readonly bytes: number
}

/** How long the block of a plan is. */
export function blockBytes({ layout, from, to, bytes }: BlockPlan): number {
  return fixedHeadBytes + bytes + (to - from) * (headBytesOf[layout] - headBytesOf[layouts.consecutive])
}

/** Divides records, of which there is one at least, into blocks. */
export function planBlocks({ offsets, values, bytes }: Records): BlockPlan[] {
  const { length } = values
  const isConsecutive = (offsets[length - 1] as number) - (offsets[0] as number) === length - 1
  const layout = isConsecutive ? layouts.consecutive : layouts.offsetsGiven
  const whole = { layout, from: 0, to: length, bytes }
  if (length === 1 || blockBytes(whole) <= maxBlockBytes) return [whole]
  const plans: BlockPlan[] = []
  let plan = { layout, from: 0, to: 0, bytes: 0 }
  for (let index = 0; index < length; index += 1) {
    const added = recordBytes((values[index] as Uint8Array).length)
    const longer: BlockPlan = { ...plan, to: index + 1, bytes: plan.bytes + added }
    if (index === plan.from || blockBytes(longer) <= maxBlockBytes) plan = longer
    else {
      plans.push(plan)
      plan = { layout, from: index, to: index + 1, bytes: added }
    }
  }
  plans.push(plan)
  return plans
}

/** Memory that blocks are written into, one behind the other. */
export class BlockMemory {
  readonly bytes: Buffer
  readonly view: DataView
  readonly words: Int32Array
  position = 0

  constructor(sizeBytes: number) {
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes)
    this.view = new DataView(this.bytes.buffer)
    this.words = new Int32Array(this.bytes.buffer)
  }
}

/** Writes a block into memory, which has room for it, and gives its bytes. */
export function sealBlock(
  memory: BlockMemory,
  key: Uint8Array,
  records: Records,
  plan: BlockPlan,
  before: { readonly end: number; readonly bytes: number },
): Uint8Array {
  const { view, words } = memory
  const start = memory.position
  const content = start + headContentAt
  view.setUint16(content, plan.to - plan.from)
  view.setUint16(content + 2, plan.layout)
  view.setFloat64(content + 4, before.end)
  view.setFloat64(content + 12, before.bytes)
  let head = start + fixedHeadBytes
  const headEnd = head + (plan.to - plan.from) * headBytesOf[plan.layout]
  let position = headEnd
  for (let index = plan.from; index < plan.to; index += 1) {
    const value = records.values[index] as Uint8Array
    const end = position + value.length
    const next = filledUp(end)
    if (next !== end) words[(next >> 2) - 1] = 0
    memory.bytes.set(value, position)
    view.setUint32(head, end - headEnd)
    view.setUint32(head + 4, recordHash(words, position >> 2, next >> 2))
    view.setFloat64(head + 8, records.timesMs[index] as number)
    if (plan.layout === layouts.offsetsGiven) view.setFloat64(head + 16, records.offsets[index] as number)
    head += headBytesOf[plan.layout]
    position = next
  }
  const block = memory.bytes.subarray(start, position)
  const keyChecksum = crc32(key)
  view.setUint32(start + headChecksumAt, crc32(block.subarray(headContentAt, headEnd - start), keyChecksum))
  view.setUint32(start, crc32(block.subarray(headContentAt), keyChecksum))
  memory.position = position
  return block
}

/** A block as it was read; shares memory with the bytes of its row. */
export class Block {
  /** How many records it has. */
  readonly count: number
  /** The end of the place before it. */
  readonly follows: number
  /** The offset of its last record. */
  readonly last: number
  /** Whether it matches its checksum; otherwise each record is held to its own hash. */
  readonly isWhole: boolean
  readonly #bytes: Uint8Array
  readonly #view: DataView
  readonly #headBytes: number
  readonly #headEnd: number

  private constructor(last: number, bytes: Uint8Array, view: DataView, isWhole: boolean) {
    this.#bytes = bytes
    this.#view = view
    this.isWhole = isWhole
    this.last = last
    this.count = view.getUint16(headContentAt)
    this.follows = view.getFloat64(headContentAt + 4)
    this.#headBytes = headBytesIn(view)
    this.#headEnd = headEndIn(view)
  }

  /** The block of a row; undefined when its head is damaged, and with it all that is known of its records. */
  static open({
    key,
    value: bytes,
  }: {
    readonly key: Uint8Array
    readonly value: Uint8Array
  }): Block | undefined {
    if (bytes.length < fixedHeadBytes) return undefined
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const keyChecksum = crc32(key)
    const isWhole = view.getUint32(0) === crc32(bytes.subarray(headContentAt), keyChecksum)
    if (!isWhole) {
      const head = bytes.subarray(headContentAt, headEndIn(view))
      if (view.getUint32(headChecksumAt) !== crc32(head, keyChecksum)) return undefined
    }
    return new Block(offsetIn(key), bytes, view, isWhole)
  }

  /** Whether a record at this offset would be in this block. */
  covers(offset: number): boolean {
    return this.follows <= offset && offset <= this.last
  }

  /** The index of the first record at or above an offset; `count` where there is none. */
  indexFrom(offset: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.offsetAt(middle) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  offsetAt(index: number): number {
    if (this.#headBytes === headBytesOf[layouts.consecutive]) return this.last - this.count + 1 + index
    return this.#view.getFloat64(this.#headOf(index) + 16)
  }

  timeMsAt(index: number): number {
    return this.#view.getFloat64(this.#headOf(index) + 8)
  }

  /** The bytes of all records of the place before this one; of all up to the last one for the index `count`. */
  bytesBeforeAt(index: number): number {
    const records = index * headBytesOf[layouts.consecutive] + this.#startOf(index) - this.#headEnd
    return this.#view.getFloat64(headContentAt + 12) + records
  }

  /** The value of a record; undefined when it is damaged. */
  valueAt(index: number): Uint8Array | undefined {
    const start = this.#startOf(index)
    const end = this.#endOf(index)
    if (!this.isWhole && !this.#isRecordWhole(index, start, filledUp(end))) return undefined
    return this.#bytes.subarray(start, end)
  }

  #isRecordWhole(index: number, start: number, end: number): boolean {
    if (end > this.#bytes.length) return false
    const words = new Int32Array((end - start) >> 2)
    new Uint8Array(words.buffer).set(this.#bytes.subarray(start, end))
    return recordHash(words, 0, words.length) === this.#view.getUint32(this.#headOf(index) + 4)
  }

  #startOf(index: number): number {
    return index === 0 ? this.#headEnd : filledUp(this.#endOf(index - 1))
  }

  #endOf(index: number): number {
    return this.#headEnd + this.#view.getUint32(this.#headOf(index))
  }

  #headOf(index: number): number {
    return fixedHeadBytes + index * this.#headBytes
  }
}

function headBytesIn(view: DataView): number {
  return headBytesOf[view.getUint16(headContentAt + 2) === layouts.consecutive ? 0 : 1]
}

function headEndIn(view: DataView): number {
  return fixedHeadBytes + view.getUint16(headContentAt) * headBytesIn(view)
}
