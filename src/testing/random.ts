/**
 * A small seeded generator (sfc32). A simulation uses one for every purpose, so that drawing more for one purpose does
 * not change what is drawn for another.
 */
export class SeededRandom {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** Generators of one seed and different purposes are independent of one another. */
  constructor(seed: number, purpose: string) {
    this.#a = hash(purpose, seed >>> 0)
    this.#b = hash(purpose, (seed ^ 0x9e3779b9) >>> 0)
    this.#c = hash(purpose, Math.floor(seed / 2 ** 32) ^ 0x85ebca6b)
    for (let round = 0; round < 12; round += 1) this.next()
  }

  /** A number in [0, 1). */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }

  /** A whole number in [0, bound). */
  below(bound: number): number {
    return Math.floor(this.next() * bound)
  }

  /** A whole number in [least, most]. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1)
  }

  /** True with the given probability. */
  chance(probability: number): boolean {
    return this.next() < probability
  }

  /** One of the items. Throws `TypeError` when there is none. */
  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new TypeError('pick: there is nothing to pick from')
    return items[this.below(items.length)] as T
  }

  /** Fills the bytes and gives them back. */
  fill(bytes: Uint8Array): Uint8Array {
    for (let index = 0; index < bytes.length; index += 1) bytes[index] = this.below(256)
    return bytes
  }
}

function hash(text: string, seed: number): number {
  let value = (0x811c9dc5 ^ seed) | 0
  for (let index = 0; index < text.length; index += 1) {
    value = Math.imul(value ^ text.charCodeAt(index), 0x01000193)
  }
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b)
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35)
  return value ^ (value >>> 16)
}
