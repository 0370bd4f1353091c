import type { Offset } from '../log/port.ts'

/** So much of an array that is empty is kept for what comes. */
const keptLength = 1_024

/**
 * Offsets that come in ascending order and go in any. What a set does; but offsets mostly follow one another, so where one
 * stands can be computed, and nothing is hashed.
 */
export class PendingOffsets {
  /** Ascending from `#head` up to `#end`; one that is gone is there as its negative, minus one. */
  #offsets: number[] = []
  #head = 0
  #end = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The lowest one. */
  get first(): Offset | undefined {
    return this.#size === 0 ? undefined : this.#offsets[this.#head]
  }

  /** `offset` is above all that were added before. */
  add(offset: Offset): void {
    this.#offsets[this.#end] = offset
    this.#end += 1
    this.#size += 1
  }

  has(offset: Offset): boolean {
    return this.#offsets[this.#indexOf(offset)] === offset
  }

  delete(offset: Offset): void {
    const index = this.#indexOf(offset)
    if (this.#offsets[index] !== offset) return
    this.#offsets[index] = -offset - 1
    this.#size -= 1
    if (index === this.#head) this.#goOn()
  }

  /** All of them, ascending. */
  *[Symbol.iterator](): IterableIterator<Offset> {
    for (let index = this.#head; index < this.#end; index += 1) {
      const offset = this.#offsets[index] as number
      if (offset >= 0) yield offset
    }
  }

  /** The lowest one has gone. */
  #goOn(): void {
    while (this.#head < this.#end && (this.#offsets[this.#head] as number) < 0) this.#head += 1
    if (this.#head < this.#end) {
      if (this.#head < keptLength || this.#head * 2 < this.#end) return
      this.#offsets = this.#offsets.slice(this.#head, this.#end)
      this.#end -= this.#head
    } else {
      if (this.#offsets.length > keptLength) this.#offsets = []
      this.#end = 0
    }
    this.#head = 0
  }

  /** Where an offset stands or has stood; -1 for one that is not here. */
  #indexOf(offset: Offset): number {
    let low = this.#head
    let high = this.#end
    if (low === high) return -1
    let probe = low + offset - offsetOf(this.#offsets[low])
    while (low < high) {
      if (probe < low || probe >= high) probe = (low + high) >> 1
      const there = offsetOf(this.#offsets[probe])
      if (there === offset) return probe
      if (there < offset) low = probe + 1
      else high = probe
      probe = (low + high) >> 1
    }
    return -1
  }
}

/** The offset in a place of the array, whether it is gone or not. */
function offsetOf(stored: number | undefined): Offset {
  const offset = stored ?? 0
  return offset < 0 ? -offset - 1 : offset
}
