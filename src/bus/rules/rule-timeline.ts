import type { Offset } from '../../log/port.ts'

/** A mark: the change of this index holds for what is behind this offset. */
export interface RuleMark {
  readonly offset: Offset
  readonly index: number
}

/**
 * Which rules hold where, in one topic of one partition. A change holds for the records behind its mark, so every reader of the
 * log comes to the same answer for a record, whenever and wherever it reads it.
 */
export class RuleTimeline {
  readonly #offsets = new Set<Offset>()
  /** In the order of their offsets; each has the newest change of all marks up to it. */
  #marks: readonly RuleMark[] = []

  /** The offset of the first mark; undefined where no change has taken effect yet. */
  get beginning(): Offset | undefined {
    return this.#marks[0]?.offset
  }

  /** Adds marks that were read or found. One that is there already changes nothing. */
  add(marks: readonly RuleMark[]): void {
    const added = marks.filter(({ offset }) => !this.#offsets.has(offset))
    if (added.length === 0) return
    for (const { offset } of added) this.#offsets.add(offset)
    const sorted = [...this.#marks, ...added].sort((one, other) => one.offset - other.offset)
    let newest = -1
    this.#marks = sorted.map(({ offset, index }) => {
      newest = Math.max(newest, index)
      return { offset, index: newest }
    })
  }

  /** Whether there is a mark at this offset. */
  has(offset: Offset): boolean {
    return this.#offsets.has(offset)
  }

  /** The index of the newest change that holds for the record at `offset`; -1 where none does. */
  changeAt(offset: Offset): number {
    const marks = this.#marks
    let low = 0
    let high = marks.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((marks[middle]?.offset ?? 0) < offset) low = middle + 1
      else high = middle
    }
    return marks[low - 1]?.index ?? -1
  }
}
