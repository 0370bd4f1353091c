import type { KeyRange, KeyValue } from './port.ts'

/** Keys and values in memory, ordered by the UTF-8 bytes of the keys; sorted only when a range is asked for. */
export class KeyValues {
  readonly #values = new Map<string, Uint8Array>()
  /** Every live key that is not in `#added`, in order, and keys that were deleted since. */
  #sorted: string[] = []
  #added: string[] = []
  #deleted = 0
  #changes = 0

  /** Grows with every change. */
  get changes(): number {
    return this.#changes
  }

  get(key: string): Uint8Array | undefined {
    const value = this.#values.get(key)
    return value === undefined ? undefined : new Uint8Array(value)
  }

  put(key: string, value: Uint8Array): void {
    this.#changes += 1
    if (!this.#values.has(key)) this.#added.push(key)
    this.#values.set(key, new Uint8Array(value))
  }

  delete(key: string): void {
    this.#changes += 1
    if (this.#values.delete(key)) this.#deleted += 1
  }

  range({ from, to, limit }: KeyRange): KeyValue[] {
    this.#sort()
    const found: KeyValue[] = []
    for (let index = this.#firstAtLeast(from); index < this.#sorted.length; index += 1) {
      const key = this.#sorted[index] as string
      if (found.length >= limit || compareUtf8(key, to) >= 0) break
      const value = this.get(key)
      if (value !== undefined) found.push({ key, value })
    }
    return found
  }

  #sort(): void {
    if (this.#added.length === 0 && this.#deleted * 2 <= this.#sorted.length) return
    const added = this.#added.sort(compareUtf8)
    const merged: string[] = []
    let next = 0
    const take = (key: string) => {
      if (this.#values.has(key) && merged.at(-1) !== key) merged.push(key)
    }
    for (const key of this.#sorted) {
      while (next < added.length && compareUtf8(added[next] as string, key) <= 0) {
        take(added[next] as string)
        next += 1
      }
      take(key)
    }
    for (; next < added.length; next += 1) take(added[next] as string)
    this.#sorted = merged
    this.#added = []
    this.#deleted = 0
  }

  #firstAtLeast(key: string): number {
    let low = 0
    let high = this.#sorted.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (compareUtf8(this.#sorted[middle] as string, key) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}

/**
 * Compares by UTF-8 bytes, which is the order of code points. It differs from the order of UTF-16 only where a
 * surrogate meets a character from U+E000 to U+FFFF.
 */
export function compareUtf8(left: string, right: string): number {
  const length = Math.min(left.length, right.length)
  for (let index = 0; index < length; index += 1) {
    const difference = rank(left.charCodeAt(index)) - rank(right.charCodeAt(index))
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

function rank(code: number): number {
  return code >= 0xd800 && code <= 0xdfff ? code + 0x10000 : code
}
