import type { Offset } from '../../log/port.ts'
import { emptyRuleBook, type RuleBook } from './rule-book.ts'

interface Era {
  /** The first offset that the book holds for. */
  readonly from: Offset
  readonly book: RuleBook
}

/**
 * Which rules hold where, in one topic of one partition. A change holds for the records behind its mark, so every reader of the
 * log comes to the same answer for a record, whenever and wherever it reads it.
 */
export class RuleTimeline {
  readonly #eras: Era[] = []
  readonly #marks = new Set<string>()

  /** Whether any change is known to have taken effect. */
  get hasMarks(): boolean {
    return this.#marks.size > 0
  }

  /** Adds the book that holds behind a mark, given in the order of their offsets. One that is there already changes nothing. */
  add(mark: string, offset: Offset, book: RuleBook): void {
    if (this.#marks.has(mark)) return
    this.#marks.add(mark)
    this.#eras.push({ from: offset + 1, book })
  }

  /** Whether the mark of a change was read or found. */
  has(mark: string): boolean {
    return this.#marks.has(mark)
  }

  /** The book that holds for the record at `offset`. */
  bookAt(offset: Offset): RuleBook {
    return this.#eras.findLast(({ from }) => from <= offset)?.book ?? emptyRuleBook
  }
}
