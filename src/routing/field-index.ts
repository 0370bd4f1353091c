import { AffixIndex } from './affix-index.ts'
import type { Leaf, Range, Test } from './field-test.ts'
import { IntervalIndex } from './interval-index.ts'
import { sortableAddress } from './ip-address.ts'
import { foldCase } from './letter-case.ts'
import { LongNumber } from './long-number.ts'
import { PieceIndex } from './piece-index.ts'
import { WordTrie } from './word-trie.ts'

type Wildcard = Extract<Test, { readonly kind: 'wildcard' }>

/** A structure of an index, with the key under which it keeps what belongs to one test. */
interface Shelf<T> {
  at(make?: () => Set<T>): Set<T> | undefined
  delete(): void
}

/**
 * Everything that waits for values of one field, by test. A value finds the sets of all tests that it may pass: a test of a
 * text or a number leads to its set directly, the others are in one set that every value finds.
 */
export class FieldIndex<T> {
  readonly #equal = new Map<string | number | boolean | null, Set<T>>()
  readonly #numberTexts = new Map<string, Set<T>>()
  readonly #folded = new Map<string, Set<T>>()
  readonly #starts = new AffixIndex<Set<T>>('forwards')
  readonly #ends = new AffixIndex<Set<T>>('backwards')
  readonly #foldedStarts = new AffixIndex<Set<T>>('forwards')
  readonly #foldedEnds = new AffixIndex<Set<T>>('backwards')
  readonly #pieces = new PieceIndex<Set<T>>()
  readonly #words = new WordTrie<Set<T>>()
  readonly #ranges = new IntervalIndex<number, Set<T>>()
  readonly #addresses = new IntervalIndex<string, Set<T>>()
  readonly #any = new Set<T>()
  readonly #anyShelf: Shelf<T> = { at: () => this.#any, delete: () => {} }
  readonly #wildcards = new WeakMap<Wildcard, Shelf<T>>()

  add(test: Test, item: T): void {
    this.#shelf(test)
      .at(() => new Set())
      ?.add(item)
  }

  remove(test: Test, item: T): void {
    const shelf = this.#shelf(test)
    const set = shelf.at()
    if (set?.delete(item) && set.size === 0) shelf.delete()
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

  /** Visits the sets of all tests that the value may pass. */
  visit(value: Leaf, visitor: (items: Set<T>) => void): void {
    if (this.#any.size > 0) visitor(this.#any)
    if (value instanceof LongNumber) {
      const same = this.#numberTexts.size > 0 ? this.#numberTexts.get(value.text) : undefined
      if (same !== undefined) visitor(same)
      this.#visitPlain(value.value, visitor)
    } else this.#visitPlain(value, visitor)
  }

  #visitPlain(value: string | number | boolean | null, visitor: (items: Set<T>) => void): void {
    const equal = this.#equal.get(value)
    if (equal !== undefined) visitor(equal)
    if (typeof value === 'string') this.#visitText(value, visitor)
    else if (typeof value === 'number' && this.#ranges.size > 0) this.#ranges.visit(value, visitor)
  }

  #visitText(value: string, visitor: (items: Set<T>) => void): void {
    if (this.#starts.size > 0) this.#starts.visit(value, visitor)
    if (this.#ends.size > 0) this.#ends.visit(value, visitor)
    if (this.#pieces.size > 0) this.#pieces.visit(value, visitor)
    if (this.#words.size > 0) this.#words.visit(value, visitor)
    if (this.#folded.size + this.#foldedStarts.size + this.#foldedEnds.size > 0) {
      this.#visitFolded(foldCase(value), visitor)
    }
    if (this.#addresses.size > 0) {
      const address = sortableAddress(value)
      if (address !== undefined) this.#addresses.visit(address, visitor)
    }
  }

  #visitFolded(folded: string, visitor: (items: Set<T>) => void): void {
    const same = this.#folded.get(folded)
    if (same !== undefined) visitor(same)
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
        return inIndex(this.#addresses, { ...test, lowOpen: false, highOpen: false })
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

function isBounded({ low, high }: Range): boolean {
  return Number.isFinite(low) && Number.isFinite(high)
}

function inMap<K, T>(map: Map<K, Set<T>>, key: K): Shelf<T> {
  return {
    at(make) {
      const known = map.get(key)
      if (known !== undefined || make === undefined) return known
      const made = make()
      map.set(key, made)
      return made
    },
    delete: () => map.delete(key),
  }
}

function inIndex<K, T>(
  index: { at(key: K, make?: () => Set<T>): Set<T> | undefined; delete(key: K): void },
  key: K,
): Shelf<T> {
  return { at: (make) => index.at(key, make), delete: () => index.delete(key) }
}
