import { Bucket } from './bucket.ts'
import type { Range } from './field-test.ts'

/** Both bounds belong to it. */
interface Interval<T> {
  readonly low: number
  readonly high: number
  readonly kept: Bucket<T>
}

/**
 * Finds all ranges that hold a number: an interval tree, laid out in arrays that are sorted by the lower bounds, and built anew
 * with the first look-up after a change.
 */
export class IntervalIndex<T> {
  readonly #intervals = new Map<string, Interval<T>>()
  #isBuilt = false
  #lows = new Float64Array()
  #highs = new Float64Array()
  /** For each interval, the highest upper bound in the subtree that it is the root of. */
  #highest = new Float64Array()
  #kept: Bucket<T>[] = []

  get size(): number {
    return this.#intervals.size
  }

  at(range: Range, make = false): Bucket<T> | undefined {
    const key = keyOf(range)
    const known = this.#intervals.get(key)
    if (known !== undefined || !make) return known?.kept
    const kept = new Bucket<T>()
    const low = range.lowOpen ? nextAbove(range.low) : range.low
    const high = range.highOpen ? -nextAbove(-range.high) : range.high
    this.#intervals.set(key, { low, high, kept })
    this.#isBuilt = false
    return kept
  }

  delete(range: Range): void {
    if (this.#intervals.delete(keyOf(range))) this.#isBuilt = false
  }

  visit(number: number, visitor: (item: T) => void): void {
    if (!this.#isBuilt) this.#build()
    this.#search(0, this.#kept.length, number, visitor)
  }

  #search(first: number, to: number, number: number, visitor: (item: T) => void): void {
    let from = first
    while (from < to) {
      const middle = (from + to) >> 1
      if ((this.#highest[middle] as number) < number) return
      if (from < middle) this.#search(from, middle, number, visitor)
      if (number < (this.#lows[middle] as number)) return
      if (number <= (this.#highs[middle] as number)) this.#kept[middle]?.visit(visitor)
      from = middle + 1
    }
  }

  #build(): void {
    const sorted = [...this.#intervals.values()].sort((a, b) => a.low - b.low)
    this.#lows = Float64Array.from(sorted, ({ low }) => low)
    this.#highs = Float64Array.from(sorted, ({ high }) => high)
    this.#highest = this.#highs.slice()
    this.#kept = sorted.map(({ kept }) => kept)
    this.#fill(0, sorted.length)
    this.#isBuilt = true
  }

  #fill(from: number, to: number): number {
    if (from >= to) return Number.NEGATIVE_INFINITY
    const middle = (from + to) >> 1
    const highest = Math.max(
      this.#highs[middle] as number,
      this.#fill(from, middle),
      this.#fill(middle + 1, to),
    )
    this.#highest[middle] = highest
    return highest
  }
}

function keyOf({ low, lowOpen, high, highOpen }: Range): string {
  return `${lowOpen ? '(' : '['}${low},${high}${highOpen ? ')' : ']'}`
}

const double = new Float64Array(1)
const bits = new BigInt64Array(double.buffer)

/** The least double that is greater. */
function nextAbove(number: number): number {
  if (number === 0) return Number.MIN_VALUE
  double[0] = number
  bits[0] = (bits[0] as bigint) + (number > 0 ? 1n : -1n)
  return double[0]
}
