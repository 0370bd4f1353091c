import { type Hash64, type HashKey, halfSipHash } from './half-sip-hash.ts'

/** A keyed 64-bit hash of a topic and an id. */
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
  /** Random, and kept for as long as fingerprints are stored, so that nobody can choose ids that collide. */
  readonly key: HashKey
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
  readonly #key: HashKey
  #oldest: number
  #next: number
  #capacity: number
  /** The lower half of each fingerprint. */
  #ring: Uint32Array
  /**
   * Holds ring index + 1 in as many of the lower bits as that needs, and in the others those of the fingerprint, so that
   * most that are of another one are told without a look at the ring. Zero is an empty slot; collisions go to the next one.
   */
  #table: Uint32Array
  /** The bits of a slot that hold the index. */
  #indexMask: number
  readonly #times = new Times()

  /** `firstSequence` is where numbering goes on when stored entries are about to be added again. */
  constructor(options: DeduplicationWindowOptions, firstSequence = 0) {
    this.#windowMs = options.windowMs
    this.#maxIds = options.maxIds
    this.#key = options.key
    this.#oldest = firstSequence
    this.#next = firstSequence
    this.#capacity = Math.max(1, Math.min(firstCapacity, options.maxIds))
    this.#ring = new Uint32Array(this.#capacity)
    this.#table = tableFor(this.#capacity)
    this.#indexMask = indexMaskFor(this.#capacity)
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

  /** The fingerprint of an id in a topic. */
  fingerprint(topicId: number, id: string): Fingerprint {
    return halfSipHash(this.#key, topicId, id)
  }

  /** The sequence numbers of entries that may have this fingerprint, in no particular order; mostly there is none. */
  find({ low }: Pick<Fingerprint, 'low'>): readonly number[] {
    let found: number[] | undefined
    const mask = this.#table.length - 1
    for (let slot = low & mask; ; slot = (slot + 1) & mask) {
      const held = this.#table[slot] as number
      if (held === 0) return found ?? none
      const index = (held & this.#indexMask) - 1
      if (((held ^ low) & ~this.#indexMask) === 0 && this.#ring[index] === low) {
        found ??= []
        found.push(this.#sequenceAt(index))
      }
    }
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
      // Some at once: the processor waits for the memory of several together.
      for (let count = 0; count <= this.#maxIds >> 12; count += 1) this.#dropOldest()
      this.#times.dropBelow(this.#oldest)
      return
    }
    const capacity = Math.min(this.#capacity * 2, this.#maxIds)
    const grown = new Uint32Array(capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence += 1) {
      grown[sequence % capacity] = this.#ring[this.#indexOf(sequence)] as number
    }
    this.#ring = grown
    this.#capacity = capacity
    this.#table = tableFor(capacity)
    this.#indexMask = indexMaskFor(capacity)
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

  #link(index: number): void {
    const low = this.#ring[index] as number
    const mask = this.#table.length - 1
    let slot = low & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    this.#table[slot] = (low & ~this.#indexMask) | (index + 1)
  }

  /** Empties an entry's slot and moves up what had to pass it by, so that no search ends too early. */
  #unlink(index: number): void {
    const mask = this.#table.length - 1
    let hole = (this.#ring[index] as number) & mask
    while (((this.#table[hole] as number) & this.#indexMask) !== index + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; this.#table[slot] !== 0; slot = (slot + 1) & mask) {
      const held = this.#table[slot] as number
      const home = (this.#ring[(held & this.#indexMask) - 1] as number) & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      this.#table[hole] = held
      hole = slot
    }
    this.#table[hole] = 0
  }
}

const none: readonly number[] = Object.freeze([])

function tableFor(capacity: number): Uint32Array {
  return new Uint32Array(2 ** Math.ceil(Math.log2(capacity * 1.5 + 1)))
}

/** As many ones as a ring index + 1 has bits. */
function indexMaskFor(capacity: number): number {
  return 2 ** Math.ceil(Math.log2(capacity + 1)) - 1
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
