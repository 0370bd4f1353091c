import type { Hash64 } from './half-sip-hash.ts'

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

const firstCapacity = 1024

/**
 * Remembers which ids came in the last while, in 11 to 18 bytes for each: half of its fingerprint, in a ring in the order of
 * arrival, which is the order in which they expire; and a slot in an open-addressing table that leads from there to
 * the entries. Several ids may share that half: whoever asks has what the entries stand for, and compares.
 *
 * Entries have sequence numbers: `oldest` is that of the first one remembered, `next` that of the next to come.
 */
export class DeduplicationWindow {
  readonly #windowMs: number
  readonly #maxIds: number
  #oldest: number
  #next: number
  #capacity: number
  /** The lower half of each fingerprint. */
  #ring: Int32Array
  /**
   * Holds ring index + 1 in as many of the lower bits as that needs; above them how many slots further than its home an
   * entry is, as far as four bits tell; and in the others those of the fingerprint. So hardly ever the ring is looked at for
   * an entry that is of another fingerprint or has to move up. Zero is an empty slot; collisions go to the next one.
   */
  #table: Int32Array
  #bits: SlotBits
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
    this.#capacity = Math.max(1, Math.min(Math.max(firstCapacity, expected), options.maxIds))
    this.#ring = new Int32Array(this.#capacity)
    this.#table = new Int32Array(slotsFor(this.#capacity))
    this.#bits = slotBitsFor(this.#capacity)
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

  /** The sequence numbers of entries that may have this fingerprint, in no particular order; mostly there is none. */
  find({ low }: Pick<Fingerprint, 'low'>): readonly number[] {
    let found: number[] | undefined
    const { index: indexMask, shift, most } = this.#bits
    const mask = this.#table.length - 1
    const tag = this.#tagOf(low)
    for (let slot = low & mask, passed = 0; ; slot = (slot + 1) & mask, passed += 1) {
      const held = this.#table[slot] as number
      if (held === 0) return found ?? none
      const sought = tag | (Math.min(passed, most) << shift)
      const index = (held & indexMask) - 1
      if (((held ^ sought) & ~indexMask) === 0 && this.#ring[index] === low) {
        found ??= []
        found.push(this.#sequenceAt(index))
      }
    }
  }

  /**
   * Has the processor fetch what {@link find} and forgetting will look at for these lower halves. Where many are told at once it
   * waits for the memory of several together, and for that of each otherwise.
   */
  prefetch(lows: Int32Array | readonly number[]): void {
    const mask = this.#table.length - 1
    let fetched = 0
    for (let index = 0; index < lows.length; index += 1)
      fetched ^= this.#table[(lows[index] as number) & mask] as number
    this.fetched = fetched
  }

  /** Remembers an id. Times should not fall; where they do, an entry lives as long as the ones before it. */
  add({ low }: Pick<Fingerprint, 'low'>, timeMs: number): void {
    if (this.#maxIds < 1) return
    if (this.size === this.#capacity) this.#makeRoom()
    const index = this.#indexOf(this.#next)
    this.#ring[index] = low
    this.#times.add(this.#next, timeMs)
    this.#next += 1
    this.#link(index)
  }

  /** Forgets the newest `count` entries, as if they had not been added. */
  dropNewest(count: number): void {
    const until = Math.max(this.#oldest, this.#next - count)
    while (this.#next > until) {
      this.#next -= 1
      this.#unlink(this.#indexOf(this.#next))
    }
    this.#times.dropFrom(until)
  }

  /** Forgets the entries whose time in the window is over. */
  expire(nowMs: number): void {
    const until = this.#times.firstAfter(nowMs - this.#windowMs) ?? this.#next
    while (this.#oldest < until) this.#dropOldest()
    this.#times.dropBelow(this.#oldest)
  }

  #dropOldest(): void {
    this.#unlink(this.#indexOf(this.#oldest))
    this.#oldest += 1
  }

  #makeRoom(): void {
    if (this.#capacity >= this.#maxIds) {
      // Some at once: fetching them is what takes time.
      const first = this.#indexOf(this.#oldest)
      const last = Math.min(first + (this.#maxIds >> 12), this.#capacity - 1)
      this.prefetch(this.#ring.subarray(first, last + 1))
      for (let index = first; index <= last; index += 1) this.#dropOldest()
      this.#times.dropBelow(this.#oldest)
      return
    }
    const capacity = Math.min(this.#capacity * 2, this.#maxIds)
    const grown = new Int32Array(capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence += 1) {
      grown[sequence % capacity] = this.#ring[this.#indexOf(sequence)] as number
    }
    this.#ring = grown
    this.#capacity = capacity
    const slots = slotsFor(capacity)
    if (slots === this.#table.length) this.#table.fill(0)
    else this.#table = new Int32Array(slots)
    this.#bits = slotBitsFor(capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence += 1)
      this.#link(this.#indexOf(sequence))
  }

  #indexOf(sequence: number): number {
    return sequence % this.#capacity
  }

  #sequenceAt(index: number): number {
    const ahead = index - this.#indexOf(this.#oldest)
    return this.#oldest + (ahead < 0 ? ahead + this.#capacity : ahead)
  }

  /** What a slot has of a fingerprint. */
  #tagOf(low: number): number {
    const { shift, most } = this.#bits
    return low & ~(this.#bits.index | (most << shift))
  }

  #link(index: number): void {
    const low = this.#ring[index] as number
    const { shift, most } = this.#bits
    const mask = this.#table.length - 1
    let slot = low & mask
    let passed = 0
    while (this.#table[slot] !== 0) {
      slot = (slot + 1) & mask
      passed += 1
    }
    this.#table[slot] = this.#tagOf(low) | (Math.min(passed, most) << shift) | (index + 1)
  }

  /** How many slots further than its home an entry is. */
  #passed(held: number, slot: number): number {
    const { index: indexMask, shift, most } = this.#bits
    const passed = (held >>> shift) & most
    if (passed !== most) return passed
    const mask = this.#table.length - 1
    return (slot - (this.#ring[(held & indexMask) - 1] as number)) & mask
  }

  /** Empties an entry's slot and moves up what had to pass it by, so that no search ends too early. */
  #unlink(index: number): void {
    const { index: indexMask, shift, most } = this.#bits
    const mask = this.#table.length - 1
    let hole = (this.#ring[index] as number) & mask
    while (((this.#table[hole] as number) & indexMask) !== index + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; ; slot = (slot + 1) & mask) {
      const held = this.#table[slot] as number
      if (held === 0) break
      const passed = this.#passed(held, slot)
      const ahead = (slot - hole) & mask
      if (passed < ahead) continue
      this.#table[hole] = (held & ~(most << shift)) | (Math.min(passed - ahead, most) << shift)
      hole = slot
    }
    this.#table[hole] = 0
  }
}

const none: readonly number[] = Object.freeze([])

function slotsFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity * 1.5 + 1))
}

/** Which bits of a slot hold what. */
interface SlotBits {
  /** Ones where the ring index + 1 is. */
  readonly index: number
  /** Above so many bits is how far an entry is from its home. */
  readonly shift: number
  /** The largest number that says how far; it stands for all from there on. */
  readonly most: number
}

function slotBitsFor(capacity: number): SlotBits {
  const shift = Math.ceil(Math.log2(capacity + 1))
  return { index: 2 ** shift - 1, shift, most: 2 ** Math.min(4, 32 - shift) - 1 }
}

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
