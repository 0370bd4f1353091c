/** What is remembered: the sequence number of the first entry, and of the next to come. */
export interface Remembered {
  readonly oldest: number
  readonly next: number
}

/** The number of entries in a bucket takes the place of one. */
const bucketSize = 32
const mostEntries = bucketSize - 1
const tagBits = 8
const tagMask = 2 ** tagBits - 1
/** The number of an entry and what is left of its hash share 32 bits, and to shift by 32 shifts by none. */
const mostBuckets = 2 ** 23

/**
 * Leads from a hash of 32 bits to the sequence numbers of entries that have it, in 5 bytes of memory for each of 32 places of a bucket.
 *
 * The lowest bits of a hash are its bucket. The next eight, its tag, stand together with those of the others of the bucket, so that one
 * line of the processor's cache tells that there is none. What is left of the hash shares a slot with the lowest bits of the sequence
 * number, eight more than a bucket has. So the whole hash is known of each entry, and from `next` its whole number.
 *
 * Whoever forgets an entry need not look for it: it gives way when its bucket is full. What finds 31 others in its bucket that are all
 * remembered goes into a map: with 20 in each bucket that is one of a thousand.
 */
export class IdTable {
  /** How many buckets it has, a power of two. */
  readonly buckets: number
  readonly #homeBits: number
  readonly #homeMask: number
  readonly #restShift: number
  readonly #sequenceMask: number
  /** For each bucket how many entries it has, and their tags. */
  readonly #tags: Uint8Array
  readonly #slots: Int32Array
  readonly #overflow = new Overflow()

  /** `buckets` is rounded up to a power of two, and down to 8 million. */
  constructor(buckets: number) {
    this.#homeBits = Math.ceil(Math.log2(Math.min(Math.max(buckets, 1), mostBuckets)))
    this.buckets = 2 ** this.#homeBits
    this.#homeMask = this.buckets - 1
    this.#restShift = this.#homeBits + tagBits
    this.#sequenceMask = 2 ** this.#restShift - 1
    this.#tags = new Uint8Array(this.buckets * bucketSize)
    this.#slots = new Int32Array(this.buckets * bucketSize)
  }

  /** The numbers of remembered entries with a hash, in no particular order; undefined when there is none, as mostly. */
  find(hash: number, remembered: Remembered): number[] | undefined {
    let found = this.#overflow.find(hash, remembered)
    const first = (hash & this.#homeMask) * bucketSize
    const tag = (hash >>> this.#homeBits) & tagMask
    const rest = hash >>> this.#restShift
    const last = first + (this.#tags[first] as number)
    for (let at = first + 1; at <= last; at += 1) {
      if (this.#tags[at] !== tag || (this.#slots[at] as number) >>> this.#restShift !== rest) continue
      const sequence = this.#sequenceAt(at, remembered)
      if (sequence < remembered.oldest) continue
      if (found === undefined) found = [sequence]
      else found.push(sequence)
    }
    return found
  }

  /** Has the processor fetch what {@link find} and {@link put} will look at for these hashes; what it gives is of no use. */
  prefetch(hashes: readonly number[]): number {
    let fetched = 0
    for (let index = 0; index < hashes.length; index += 1) {
      const first = ((hashes[index] as number) & this.#homeMask) * bucketSize
      fetched ^= (this.#tags[first] as number) ^ (this.#slots[first] as number)
    }
    return fetched
  }

  /** Adds an entry, whose number is below `remembered.next`. */
  put(hash: number, sequence: number, remembered: Remembered): void {
    const first = (hash & this.#homeMask) * bucketSize
    let count = this.#tags[first] as number
    if (count === mostEntries) count = this.#dropForgotten(first, remembered)
    if (count === mostEntries) {
      this.#overflow.put(hash, sequence, remembered)
      return
    }
    const at = first + count + 1
    this.#tags[first] = count + 1
    this.#tags[at] = hash >>> this.#homeBits
    this.#slots[at] = ((hash >>> this.#restShift) << this.#restShift) | (sequence & this.#sequenceMask)
  }

  /** Removes an entry, if it is there. */
  remove(hash: number, sequence: number): void {
    this.#overflow.remove(hash, sequence)
    const first = (hash & this.#homeMask) * bucketSize
    const slot = ((hash >>> this.#restShift) << this.#restShift) | (sequence & this.#sequenceMask)
    const last = first + (this.#tags[first] as number)
    for (let at = first + 1; at <= last; at += 1) {
      if (this.#slots[at] !== slot || this.#tags[at] !== ((hash >>> this.#homeBits) & tagMask)) continue
      this.#move(last, at)
      this.#tags[first] = last - first - 1
      return
    }
  }

  /** Puts all remembered entries into another table. */
  copyTo(other: IdTable, remembered: Remembered): void {
    for (let bucket = 0; bucket < this.buckets; bucket += 1) {
      const first = bucket * bucketSize
      const last = first + (this.#tags[first] as number)
      for (let at = first + 1; at <= last; at += 1) {
        const sequence = this.#sequenceAt(at, remembered)
        if (sequence >= remembered.oldest) other.put(this.#hashAt(bucket, at), sequence, remembered)
      }
    }
    this.#overflow.copyTo(other, remembered)
  }

  /** Drops what is not remembered from a bucket; gives how many entries are left. */
  #dropForgotten(first: number, remembered: Remembered): number {
    let end = first + 1
    for (let at = first + 1; at <= first + mostEntries; at += 1) {
      if (this.#sequenceAt(at, remembered) < remembered.oldest) continue
      this.#move(at, end)
      end += 1
    }
    const count = end - first - 1
    this.#tags[first] = count
    return count
  }

  #move(from: number, to: number): void {
    this.#tags[to] = this.#tags[from] as number
    this.#slots[to] = this.#slots[from] as number
  }

  /** The newest number below `next` that has the bits of a slot. */
  #sequenceAt(at: number, { next }: Remembered): number {
    return next - 1 - ((next - 1 - (this.#slots[at] as number)) & this.#sequenceMask)
  }

  #hashAt(bucket: number, at: number): number {
    const rest = ((this.#slots[at] as number) >>> this.#restShift) << this.#restShift
    return rest | ((this.#tags[at] as number) << this.#homeBits) | bucket
  }
}

const leastDropped = 64

/** Entries whose bucket was full. */
class Overflow {
  readonly #sequences = new Map<number, number[]>()
  #count = 0
  #dropAt = leastDropped

  find(hash: number, { oldest }: Remembered): number[] | undefined {
    if (this.#count === 0) return undefined
    const found = this.#sequences.get(hash)?.filter((sequence) => sequence >= oldest)
    return found?.length === 0 ? undefined : found
  }

  put(hash: number, sequence: number, remembered: Remembered): void {
    if (this.#count === this.#dropAt) {
      this.#dropForgotten(remembered)
      this.#dropAt = Math.max(2 * this.#count, leastDropped)
    }
    const held = this.#sequences.get(hash)
    if (held === undefined) this.#sequences.set(hash, [sequence])
    else held.push(sequence)
    this.#count += 1
  }

  remove(hash: number, sequence: number): void {
    const held = this.#sequences.get(hash)
    const index = held?.indexOf(sequence) ?? -1
    if (index === -1) return
    held?.splice(index, 1)
    if (held?.length === 0) this.#sequences.delete(hash)
    this.#count -= 1
  }

  copyTo(other: IdTable, remembered: Remembered): void {
    for (const [hash, sequences] of this.#sequences) {
      for (const sequence of sequences)
        if (sequence >= remembered.oldest) other.put(hash, sequence, remembered)
    }
  }

  #dropForgotten({ oldest }: Remembered): void {
    for (const [hash, sequences] of this.#sequences) {
      for (const sequence of sequences) if (sequence < oldest) this.remove(hash, sequence)
    }
  }
}
