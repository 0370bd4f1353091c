/** A range of numbers, or of texts, that something is kept under. */
interface Interval<P extends number | string, T> {
  readonly low: P
  readonly lowOpen: boolean
  readonly high: P
  readonly highOpen: boolean
  readonly kept: T
}

/**
 * Finds all ranges that hold a point: an interval tree, laid out in an array that is sorted by the lower bounds, and built
 * anew with the first look-up after a change.
 */
export class IntervalIndex<P extends number | string, T> {
  readonly #intervals = new Map<string, Interval<P, T>>()
  #sorted: Interval<P, T>[] | undefined
  /** For each interval, the one with the highest upper bound in the subtree that it is the root of. */
  #highest: P[] = []
  /** The lower bounds, in an array of their own: they are what a search reads most. */
  #lows: P[] = []

  get size(): number {
    return this.#intervals.size
  }

  at(bounds: { low: P; lowOpen: boolean; high: P; highOpen: boolean }, make?: () => T): T | undefined {
    const key = keyOf(bounds)
    const known = this.#intervals.get(key)
    if (known !== undefined || make === undefined) return known?.kept
    const kept = make()
    this.#intervals.set(key, { ...bounds, kept })
    this.#sorted = undefined
    return kept
  }

  delete(bounds: { low: P; lowOpen: boolean; high: P; highOpen: boolean }): void {
    if (this.#intervals.delete(keyOf(bounds))) this.#sorted = undefined
  }

  visit(point: P, visitor: (kept: T) => void): void {
    const sorted = this.#sorted ?? this.#build()
    this.#search(sorted, 0, sorted.length, point, visitor)
  }

  #search(
    sorted: readonly Interval<P, T>[],
    from: number,
    to: number,
    point: P,
    visitor: (kept: T) => void,
  ): void {
    if (from >= to) return
    const middle = (from + to) >> 1
    const highest = this.#highest[middle]
    if (highest === undefined || highest < point) return
    this.#search(sorted, from, middle, point, visitor)
    if (point < (this.#lows[middle] as P)) return
    const root = sorted[middle] as Interval<P, T>
    const above = root.lowOpen ? point > root.low : true
    if (above && (root.highOpen ? point < root.high : point <= root.high)) visitor(root.kept)
    this.#search(sorted, middle + 1, to, point, visitor)
  }

  #build(): Interval<P, T>[] {
    const sorted = [...this.#intervals.values()].sort((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0))
    this.#lows = sorted.map(({ low }) => low)
    this.#highest = [...this.#lows]
    this.#fill(sorted, 0, sorted.length)
    this.#sorted = sorted
    return sorted
  }

  #fill(sorted: readonly Interval<P, T>[], from: number, to: number): P | undefined {
    const middle = (from + to) >> 1
    const root = sorted[middle]
    if (from >= to || root === undefined) return undefined
    let highest = root.high
    const left = this.#fill(sorted, from, middle)
    const right = this.#fill(sorted, middle + 1, to)
    if (left !== undefined && left > highest) highest = left
    if (right !== undefined && right > highest) highest = right
    this.#highest[middle] = highest
    return highest
  }
}

function keyOf(bounds: { low: unknown; lowOpen: boolean; high: unknown; highOpen: boolean }): string {
  return `${bounds.lowOpen ? '(' : '['}${bounds.low},${bounds.high}${bounds.highOpen ? ')' : ']'}`
}
