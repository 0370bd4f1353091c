import type { Hash64 } from './half-sip-hash.ts'
import { IdTable } from './id-table.ts'

/** A keyed 64-bit hash of an id. */
export type Fingerprint = Hash64

/** Where a record was put whose id is remembered. */
export interface Sighting {
  readonly topicId: number
  readonly partition: number
  readonly offset: number
}

/** Options of {@link DeduplicationWindow}. */
export interface DeduplicationWindowOptions {
  /** How long an id is remembered, in milliseconds. */
  readonly windowMs: number
  /** How many ids are remembered at most; the oldest give way. */
  readonly maxIds: number
}

/** A table doubles when its buckets have so many entries on average, */
const usualEntries = 16
/** unless it is large enough for all that may be remembered, with so many in each. */
const entriesAtBound = 20
const firstBuckets = 32

/**
 * Remembers which ids came in the last while, in 8 to 20 bytes for each, 8 where most are remembered: half of its fingerprint, and its
 * number in the order of arrival, which is the order in which they expire. Several ids may share that half: whoever asks
 * has what the entries stand for, and compares.
 *
 * Entries have sequence numbers: `oldest` is that of the first one remembered, `next` that of the next to come.
 */
export class DeduplicationWindow {
  readonly #windowMs: number
  readonly #maxIds: number
  #oldest: number
  #next: number
  #table: IdTable
  readonly #times = new Times()
  /** What {@link prefetch} read: of no use to anybody, but what goes nowhere is not read at all. */
  fetched = 0

  /**
   * `firstSequence` is where numbering goes on when stored entries are about to be added again, `expected` how many these are: it
   * need not grow then.
   */
  constructor(options: DeduplicationWindowOptions, firstSequence = 0, expected = 0) {
    this.#windowMs = options.windowMs
    this.#maxIds = options.maxIds
    this.#oldest = firstSequence
    this.#next = firstSequence
    const buckets = Math.max(firstBuckets, expected / usualEntries)
    this.#table = new IdTable(Math.min(buckets, options.maxIds / entriesAtBound))
  }

  get oldest(): number {
    return this.#oldest
  }

  get next(): number {
    return this.#next
  }

  get size(): number {
    return this.#next - this.#oldest
  }

  /** The sequence numbers of entries that may have this half of a fingerprint, in no particular order; mostly there is none. */
  find({ low }: Pick<Fingerprint, 'low'>): readonly number[] {
    return this.#table.find(low, this) ?? none
  }

  /**
   * Has the processor fetch what {@link find} will look at for these lower halves. Where many are told at once it waits for the memory
   * of several together, and for that of each otherwise.
   */
  prefetch(lows: readonly number[]): void {
    this.fetched = this.#table.prefetch(lows)
  }

  /** Remembers an id. Times should not fall; where they do, an entry lives as long as the ones before it. */
  add({ low }: Pick<Fingerprint, 'low'>, timeMs: number): void {
    if (this.#maxIds < 1) return
    if (this.size === this.#maxIds) this.#forgetBelow(this.#oldest + 1 + (this.#maxIds >> 12))
    if (this.size >= this.#table.buckets * usualEntries) this.#grow()
    const sequence = this.#next
    this.#times.add(sequence, timeMs)
    this.#next = sequence + 1
    this.#table.put(low, sequence, this)
  }

  /** Forgets the newest entries as if they had not been added: those of these lower halves, in the order in which they came. */
  dropNewest(lows: readonly number[]): void {
    for (let index = lows.length - 1; index >= 0 && this.size > 0; index -= 1) {
      this.#table.remove(lows[index] as number, this.#next - 1)
      this.#next -= 1
    }
    this.#times.dropFrom(this.#next)
  }

  /** Forgets the entries whose time in the window is over. */
  expire(nowMs: number): void {
    this.#forgetBelow(this.#times.firstAfter(nowMs - this.#windowMs) ?? this.#next)
  }

  #forgetBelow(sequence: number): void {
    this.#oldest = Math.max(this.#oldest, Math.min(sequence, this.#next))
    this.#times.dropBelow(this.#oldest)
  }

  #grow(): void {
    const { buckets } = this.#table
    if (buckets >= this.#maxIds / entriesAtBound) return
    const grown = new IdTable(buckets * 2)
    if (grown.buckets === buckets) return
    this.#table.copyTo(grown, this)
    this.#table = grown
  }
}

const none: readonly number[] = Object.freeze([])

/** When entries came: those of one time that follow one another share it. */
class Times {
  /** The first entry of each time. */
  #from: number[] = []
  #timeMs: number[] = []
  #head = 0

  add(sequence: number, timeMs: number): void {
    if (this.#head < this.#from.length && this.#timeMs.at(-1) === timeMs) return
    this.#from.push(sequence)
    this.#timeMs.push(timeMs)
  }

  /** The first entry that came after `timeMs`, with all before it having come by then; undefined when all have. */
  firstAfter(timeMs: number): number | undefined {
    for (let index = this.#head; index < this.#from.length; index += 1) {
      if ((this.#timeMs[index] as number) > timeMs) return this.#from[index]
    }
    return undefined
  }

  /** Forgets entries from `sequence` on. */
  dropFrom(sequence: number): void {
    while (this.#from.length > this.#head && (this.#from.at(-1) as number) >= sequence) {
      this.#from.pop()
      this.#timeMs.pop()
    }
  }

  /** Forgets entries below `sequence`, as far as none from there on shares their time. */
  dropBelow(sequence: number): void {
    while (this.#head + 1 < this.#from.length && (this.#from[this.#head + 1] as number) <= sequence)
      this.#head += 1
    if (this.#head < 1024 || this.#head * 2 < this.#from.length) return
    this.#from = this.#from.slice(this.#head)
    this.#timeMs = this.#timeMs.slice(this.#head)
    this.#head = 0
  }
}
