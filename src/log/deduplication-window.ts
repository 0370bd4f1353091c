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
 * Remembers where the ids of the last while were put, in about 35 bytes for each. Entries stand in a ring in the order
 * of their arrival, which is the order in which they expire; an open-addressing table leads from a fingerprint to its
 * entries. Two ids may share a fingerprint: whoever asks compares the record that a sighting leads to.
 *
 * Entries have sequence numbers: `oldest` is that of the first one remembered, `next` that of the next to come.
 */
export class DeduplicationWindow {
  readonly #windowMs: number
  readonly #maxIds: number
  readonly #key: HashKey
  #oldest: number
  #next: number
  #ring: Ring
  /** Holds ring index + 1; zero is an empty slot. Collisions go to the next slot. */
  #table: Uint32Array

  /** `firstSequence` is where numbering goes on when stored entries are about to be added again. */
  constructor(options: DeduplicationWindowOptions, firstSequence = 0) {
    this.#windowMs = options.windowMs
    this.#maxIds = options.maxIds
    this.#key = options.key
    this.#oldest = firstSequence
    this.#next = firstSequence
    this.#ring = new Ring(Math.max(1, Math.min(firstCapacity, options.maxIds)))
    this.#table = tableFor(this.#ring.capacity)
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

  /** Where records with this fingerprint were put, in no particular order; mostly nowhere. */
  find(fingerprint: Fingerprint): readonly Sighting[] {
    let found: Sighting[] | undefined
    const mask = this.#table.length - 1
    for (let slot = fingerprint.low & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#table[slot] as number
      if (entry === 0) return found ?? none
      if (this.#ring.holds(entry - 1, fingerprint)) {
        found ??= []
        found.push(this.#ring.sighting(entry - 1))
      }
    }
  }

  /** Remembers a record. Times should not fall; where they do, an entry lives as long as the ones before it. */
  add(fingerprint: Fingerprint, at: Sighting, timeMs: number): void {
    if (this.#maxIds < 1) return
    if (this.size === this.#ring.capacity) this.#makeRoom()
    const index = this.#indexOf(this.#next)
    this.#ring.set(index, fingerprint, at, timeMs)
    this.#next += 1
    this.#link(index)
  }

  /** Visits the newest `count` entries, the oldest of them first. */
  visitNewest(count: number, visit: EntryVisitor): void {
    for (let sequence = this.#next - count; sequence < this.#next; sequence += 1)
      this.#ring.visit(this.#indexOf(sequence), visit)
  }

  /** Forgets the newest `count` entries, as if they had not been added. */
  dropNewest(count: number): void {
    const until = Math.max(this.#oldest, this.#next - count)
    while (this.#next > until) {
      this.#next -= 1
      this.#unlink(this.#indexOf(this.#next))
    }
  }

  /** Forgets the entries whose time in the window is over. */
  expire(nowMs: number): void {
    while (this.#oldest < this.#next) {
      if (this.#ring.timeMs(this.#indexOf(this.#oldest)) + this.#windowMs > nowMs) return
      this.#dropOldest()
    }
  }

  #dropOldest(): void {
    this.#unlink(this.#indexOf(this.#oldest))
    this.#oldest += 1
  }

  #makeRoom(): void {
    if (this.#ring.capacity >= this.#maxIds) {
      this.#dropOldest()
      return
    }
    const grown = new Ring(Math.min(this.#ring.capacity * 2, this.#maxIds))
    for (let sequence = this.#oldest; sequence < this.#next; sequence += 1) {
      grown.copy(sequence % grown.capacity, this.#ring, this.#indexOf(sequence))
    }
    this.#ring = grown
    this.#table = tableFor(grown.capacity)
    for (let sequence = this.#oldest; sequence < this.#next; sequence += 1)
      this.#link(this.#indexOf(sequence))
  }

  #indexOf(sequence: number): number {
    return sequence % this.#ring.capacity
  }

  #link(index: number): void {
    const mask = this.#table.length - 1
    let slot = this.#ring.low(index) & mask
    while (this.#table[slot] !== 0) slot = (slot + 1) & mask
    this.#table[slot] = index + 1
  }

  /** Empties an entry's slot and moves up what had to pass it by, so that no search ends too early. */
  #unlink(index: number): void {
    const mask = this.#table.length - 1
    let hole = this.#ring.low(index) & mask
    while (this.#table[hole] !== index + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; this.#table[slot] !== 0; slot = (slot + 1) & mask) {
      const entry = this.#table[slot] as number
      const home = this.#ring.low(entry - 1) & mask
      if (((slot - home) & mask) < ((slot - hole) & mask)) continue
      this.#table[hole] = entry
      hole = slot
    }
    this.#table[hole] = 0
  }
}

/** Takes an entry in its parts, so that none is put together for it. */
export type EntryVisitor = (
  high: number,
  low: number,
  topicId: number,
  partition: number,
  offset: number,
) => void

const none: readonly Sighting[] = Object.freeze([])

function tableFor(capacity: number): Uint32Array {
  return new Uint32Array(2 ** Math.ceil(Math.log2(capacity * 1.5 + 1)))
}

/** The entries' fields, each in an array of its own. */
class Ring {
  readonly capacity: number
  readonly #high: Uint32Array
  readonly #low: Uint32Array
  readonly #topicId: Uint32Array
  readonly #partition: Uint16Array
  readonly #offset: Float64Array
  readonly #timeMs: Float64Array

  constructor(capacity: number) {
    this.capacity = capacity
    this.#high = new Uint32Array(capacity)
    this.#low = new Uint32Array(capacity)
    this.#topicId = new Uint32Array(capacity)
    this.#partition = new Uint16Array(capacity)
    this.#offset = new Float64Array(capacity)
    this.#timeMs = new Float64Array(capacity)
  }

  set(index: number, fingerprint: Fingerprint, at: Sighting, timeMs: number): void {
    this.#high[index] = fingerprint.high
    this.#low[index] = fingerprint.low
    this.#topicId[index] = at.topicId
    this.#partition[index] = at.partition
    this.#offset[index] = at.offset
    this.#timeMs[index] = timeMs
  }

  copy(index: number, from: Ring, fromIndex: number): void {
    const fingerprint = { high: from.#high[fromIndex] as number, low: from.low(fromIndex) }
    this.set(index, fingerprint, from.sighting(fromIndex), from.timeMs(fromIndex))
  }

  holds(index: number, fingerprint: Fingerprint): boolean {
    return this.#low[index] === fingerprint.low && this.#high[index] === fingerprint.high
  }

  low(index: number): number {
    return this.#low[index] as number
  }

  timeMs(index: number): number {
    return this.#timeMs[index] as number
  }

  visit(index: number, visit: EntryVisitor): void {
    visit(
      this.#high[index] as number,
      this.#low[index] as number,
      this.#topicId[index] as number,
      this.#partition[index] as number,
      this.#offset[index] as number,
    )
  }

  sighting(index: number): Sighting {
    return {
      topicId: this.#topicId[index] as number,
      partition: this.#partition[index] as number,
      offset: this.#offset[index] as number,
    }
  }
}
