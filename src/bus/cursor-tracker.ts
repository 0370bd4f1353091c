import type { Offset } from '../log/port.ts'
import { PendingOffsets } from './pending-offsets.ts'

/** A subscription's durable place in one partition of one topic. */
export interface CursorDocument {
  /** Everything below is done. */
  readonly cursor: Offset
  /** Ranges `[from, to)` above the cursor that are done too, in order. */
  readonly done: readonly (readonly [Offset, Offset])[]
  /** Records below this offset are handled without emits and `once`; absent where nothing is silent. */
  readonly silentUntil?: Offset
  /** The handler was gone when the partition was taken last. It goes on from here should it come back. */
  readonly gone?: true
}

/**
 * Follows what a subscription has read and what of it is done. A record counts as done only when it is marked, which
 * happens as its effects go into a commit, so the document never runs ahead of them.
 */
export class CursorTracker {
  readonly topic: string
  readonly silentUntil: Offset
  /** Read but not done, in ascending order: records are added as they are read. */
  readonly #undone = new PendingOffsets()
  readonly #recovered: readonly (readonly [Offset, Offset])[]
  #read: Offset
  #highestDone: Offset
  #documented: Offset

  constructor(topic: string, document: CursorDocument) {
    this.topic = topic
    this.#read = document.cursor
    this.#documented = document.cursor
    this.#recovered = document.done
    this.#highestDone = document.done.at(-1)?.[1] ?? document.cursor
    this.silentUntil = document.silentUntil ?? 0
  }

  /** Where reading goes on: everything below has been read. */
  get read(): Offset {
    return this.#read
  }

  /** Everything below is done. */
  get cursor(): Offset {
    return this.#undone.first ?? this.#read
  }

  /** Whether it has gone on from where the last document says it is: records were read past, which nothing is committed for. */
  get isPastDocument(): boolean {
    return this.cursor > this.#documented
  }

  /** How many records are read and not done. */
  get undone(): number {
    return this.#undone.size
  }

  /** The oldest record that is read and not done. */
  get oldestUndone(): Offset | undefined {
    return this.#undone.first
  }

  /** Whether a record was done in an earlier run already. */
  isRecovered(offset: Offset): boolean {
    if (offset >= (this.#recovered.at(-1)?.[1] ?? 0)) return false
    return this.#recovered.some(([from, to]) => offset >= from && offset < to)
  }

  /** Whether a record is done: marked, or read past without being wanted. */
  isDone(offset: Offset): boolean {
    return this.isRecovered(offset) || (offset < this.#read && !this.#undone.has(offset))
  }

  /** A record has been read and is to be done. */
  add(offset: Offset): void {
    this.#undone.add(offset)
  }

  /** Everything below `next` has been read. */
  advance(next: Offset): void {
    this.#read = next
  }

  /** A record is done. */
  mark(offset: Offset): void {
    this.#undone.delete(offset)
    if (offset >= this.#highestDone) this.#highestDone = offset + 1
  }

  /** The durable form, as of the marks so far. */
  document(): CursorDocument {
    const { cursor } = this
    this.#documented = cursor
    const silent = this.silentUntil > cursor ? { silentUntil: this.silentUntil } : {}
    return {
      cursor,
      done: cursor === this.#read ? this.#recoveredAbove(cursor) : this.#doneRanges(),
      ...silent,
    }
  }

  #recoveredAbove(cursor: Offset): (readonly [Offset, Offset])[] {
    return this.#recovered.filter(([, to]) => to > cursor)
  }

  /** The gaps between undone records, up to the highest that is done, and what was done beyond what is read by now. */
  #doneRanges(): (readonly [Offset, Offset])[] {
    const ranges: (readonly [Offset, Offset])[] = []
    const end = Math.min(this.#highestDone, this.#read)
    let from: Offset | undefined
    for (const offset of this.#undone) {
      if (offset >= end) break
      if (from !== undefined && offset > from) ranges.push([from, offset])
      from = offset + 1
    }
    if (from !== undefined && from < end) ranges.push([from, end])
    return [...ranges, ...this.#recoveredAbove(this.#read)]
  }
}
