import type { Leaf, Test } from './field-test.ts'
import { IntervalIndex } from './interval-index.ts'
import { sortableAddress } from './ip-address.ts'
import { foldCase } from './letter-case.ts'
import { LongNumber } from './long-number.ts'
import { PieceIndex } from './piece-index.ts'
import { TextTrie } from './text-trie.ts'
import { WordTrie } from './word-trie.ts'

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
  readonly #starts = new TextTrie<Set<T>>('forwards')
  readonly #ends = new TextTrie<Set<T>>('backwards')
  readonly #foldedStarts = new TextTrie<Set<T>>('forwards')
  readonly #foldedEnds = new TextTrie<Set<T>>('backwards')
  readonly #pieces = new PieceIndex<Set<T>>()
  readonly #words = new WordTrie<Set<T>>()
  readonly #ranges = new IntervalIndex<number, Set<T>>()
  readonly #addresses = new IntervalIndex<string, Set<T>>()
  readonly #any = new Set<T>()

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
        return found + 32 + this.#ranges.size / 8
      case 'address':
        return found + 32 + this.#addresses.size / 64
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
        return this.#wildcardShelf(test.pieces)
      case 'routing-key':
        return inIndex(this.#words, test.words)
      case 'range':
        return inIndex(this.#ranges, test)
      case 'address':
        return inIndex(this.#addresses, { ...test, lowOpen: false, highOpen: false })
      default:
        return { at: () => this.#any, delete: () => {} }
    }
  }

  /** By its beginning, else by its end, else by the longest piece between two asterisks. */
  #wildcardShelf(pieces: readonly string[]): Shelf<T> {
    const [first = '', ...rest] = pieces
    if (rest.length === 0) return inMap(this.#equal, first)
    if (first !== '') return inIndex(this.#starts, first)
    const last = rest.at(-1) ?? ''
    if (last !== '') return inIndex(this.#ends, last)
    const longest = rest.reduce((a, b) => (b.length > a.length ? b : a), '')
    return longest === '' ? { at: () => this.#any, delete: () => {} } : inIndex(this.#pieces, longest)
  }
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
