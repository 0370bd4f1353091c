import { AddressIndex } from './address-index.ts'
import { AffixIndex } from './affix-index.ts'
import { Bucket } from './bucket.ts'
import type { Leaf, Range, Test } from './field-test.ts'
import { IntervalIndex } from './interval-index.ts'
import { readAddress } from './ip-address.ts'
import { foldCase, isAscii } from './letter-case.ts'
import { LongNumber } from './long-number.ts'
import { PieceIndex } from './piece-index.ts'
import { WordTrie } from './word-trie.ts'

type Wildcard = Extract<Test, { readonly kind: 'wildcard' }>

/** A structure of an index, with the key under which it keeps what belongs to one test. */
interface Shelf<T> {
  at(make?: boolean): Bucket<T> | undefined
  delete(): void
}

/**
 * Everything that waits for values of one field, by test. A value finds what is kept for all tests that it may pass: what is kept
 * for a test of a text or a number is found directly, the rest by every value.
 */
export class FieldIndex<T> {
  readonly #equal = new Map<string | number | boolean | null, Bucket<T>>()
  readonly #numberTexts = new Map<string, Bucket<T>>()
  readonly #folded = new Map<string, Bucket<T>>()
  readonly #starts = new AffixIndex<T>('forwards')
  readonly #ends = new AffixIndex<T>('backwards')
  readonly #foldedStarts = new AffixIndex<T>('forwards')
  readonly #foldedEnds = new AffixIndex<T>('backwards')
  readonly #pieces = new PieceIndex<T>()
  readonly #words = new WordTrie<T>()
  readonly #ranges = new IntervalIndex<T>()
  readonly #addresses = new AddressIndex<T>()
  readonly #any = new Bucket<T>()
  readonly #anyShelf: Shelf<T> = { at: () => this.#any, delete: () => {} }
  readonly #wildcards = new WeakMap<Wildcard, Shelf<T>>()

  add(test: Test, item: T): void {
    this.#shelf(test).at(true)?.add(item)
  }

  remove(test: Test, item: T): void {
    const shelf = this.#shelf(test)
    const bucket = shelf.at()
    if (bucket?.delete(item) && bucket.size === 0) shelf.delete()
  }

  /** About how many items a value that passes the test finds, and how much finding them costs beside a look-up. */
  cost(test: Test): number {
    const found = this.#shelf(test).at()?.size ?? 0
    switch (test.kind) {
      case 'equals':
      case 'number-text':
        return found
      case 'range':
        return found + 16 + Math.log2(1 + this.#ranges.size) + (isBounded(test) ? 0 : 128)
      case 'address':
        return found + 16 + Math.log2(1 + this.#addresses.size)
      case 'exists':
      case 'none-of':
      case 'no-match':
      case 'absent':
        return found + 128
      default:
        return found + 8
    }
  }

  /**
   * Visits what is kept for any test that the value may pass: with `visitor` where the value passes what {@link proves} names, and
   * with `unproven` where even those have to be asked. The same item can be visited several times.
   */
  visit(value: Leaf, visitor: (item: T) => void, unproven: (item: T) => void): void {
    this.#any.visit(visitor)
    if (typeof value === 'string') this.#visitText(value, visitor, unproven)
    else if (value instanceof LongNumber) {
      if (this.#numberTexts.size > 0) this.#numberTexts.get(value.text)?.visit(unproven)
      if (this.#equal.size > 0) this.#equal.get(value.value)?.visit(unproven)
      if (this.#ranges.size > 0) this.#ranges.visit(value.value, unproven)
    } else {
      if (this.#equal.size > 0) this.#equal.get(value)?.visit(visitor)
      if (this.#ranges.size > 0 && typeof value === 'number') this.#ranges.visit(value, visitor)
    }
  }

  #visitText(value: string, visitor: (item: T) => void, unproven: (item: T) => void): void {
    if (this.#equal.size > 0) this.#equal.get(value)?.visit(visitor)
    if (this.#starts.size > 0) this.#starts.visit(value, visitor)
    if (this.#ends.size > 0) this.#ends.visit(value, visitor)
    if (this.#pieces.size > 0) this.#pieces.visit(value, visitor)
    if (this.#words.size > 0) this.#words.visit(value, visitor)
    if (this.#folded.size + this.#foldedStarts.size + this.#foldedEnds.size > 0) {
      this.#visitFolded(foldCase(value), isAscii(value) ? visitor : unproven)
    }
    if (this.#addresses.size > 0) {
      const address = readAddress(value)
      if (address !== undefined) this.#addresses.visit(address, visitor)
    }
  }

  #visitFolded(folded: string, visitor: (item: T) => void): void {
    this.#folded.get(folded)?.visit(visitor)
    if (this.#foldedStarts.size > 0) this.#foldedStarts.visit(folded, visitor)
    if (this.#foldedEnds.size > 0) this.#foldedEnds.visit(folded, visitor)
  }

  /** Where the items of a test are kept. */
  #shelf(test: Test): Shelf<T> {
    switch (test.kind) {
      case 'equals':
        return inMap(this.#equal, test.value)
      case 'number-text':
        return inMap(this.#numberTexts, test.text)
      case 'prefix':
        return inIndex(this.#starts, test.text)
      case 'suffix':
        return inIndex(this.#ends, test.text)
      case 'loose':
        if (test.place === 'whole') return inMap(this.#folded, test.loose.folded)
        return inIndex(test.place === 'start' ? this.#foldedStarts : this.#foldedEnds, test.loose.folded)
      case 'wildcard':
        return this.#wildcardShelf(test)
      case 'routing-key':
        return inIndex(this.#words, test.words)
      case 'range':
        return inIndex(this.#ranges, test)
      case 'address':
        return inIndex(this.#addresses, test)
      default:
        return this.#anyShelf
    }
  }

  /**
   * Under its beginning, its end or a piece between two asterisks: where fewest others are, when it is first added. Short
   * texts count as if there were others, because many values have them.
   */
  #wildcardShelf(test: Wildcard): Shelf<T> {
    const known = this.#wildcards.get(test)
    if (known !== undefined) return known
    const [first = '', ...rest] = test.pieces
    const last = rest.pop()
    let best: Shelf<T> = last === undefined ? inMap(this.#equal, first) : this.#anyShelf
    let least = Number.POSITIVE_INFINITY
    const consider = (text: string, shelf: Shelf<T>): void => {
      const crowd = (shelf.at()?.size ?? 0) + 8 * (4 - Math.min(4, text.length))
      if (text !== '' && crowd < least) {
        best = shelf
        least = crowd
      }
    }
    if (last !== undefined) {
      consider(first, inIndex(this.#starts, first))
      consider(last, inIndex(this.#ends, last))
      for (const piece of rest) consider(piece, inIndex(this.#pieces, piece))
    }
    this.#wildcards.set(test, best)
    return best
  }
}

/** Whether a value that finds what is kept for a test passes it, unless it is visited as unproven. */
export function proves(test: Test): boolean {
  if (test.kind === 'loose') return test.loose.ascii
  return test.kind !== 'wildcard' && test.kind !== 'none-of' && test.kind !== 'no-match'
}

function isBounded({ low, high }: Range): boolean {
  return Number.isFinite(low) && Number.isFinite(high)
}

function inMap<K, T>(map: Map<K, Bucket<T>>, key: K): Shelf<T> {
  return {
    at(make = false) {
      const known = map.get(key)
      if (known !== undefined || !make) return known
      const made = new Bucket<T>()
      map.set(key, made)
      return made
    },
    delete: () => map.delete(key),
  }
}

function inIndex<K, T>(
  index: { at(key: K, make?: boolean): Bucket<T> | undefined; delete(key: K): void },
  key: K,
): Shelf<T> {
  return { at: (make) => index.at(key, make), delete: () => index.delete(key) }
}
