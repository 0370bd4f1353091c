import type { RecordContent } from './sealed.ts'

/** The place of a row. */
export interface RowPlace {
  readonly topicId: number
  readonly partition: number
  /** A key of this place's records, to be written over by whoever puts one. */
  readonly key: Buffer
}

/** A record on its way to the disk. */
export interface RecordWrite extends RecordContent {
  readonly place: RowPlace
  readonly offset: number
}

/** What one transaction is to write, and what becomes of the memory beside it. Later rows win over earlier ones. */
export class Writes {
  readonly records: RecordWrite[] = []
  recordBytes = 0
  readonly rows: { readonly key: Uint8Array; readonly value?: Uint8Array }[] = []
  readonly removals: { readonly place: RowPlace; readonly from: number; readonly to: number }[] = []
  readonly #committed: (() => void)[] = []
  readonly #failed: (() => void)[] = []

  get empty(): boolean {
    return this.records.length === 0 && this.rows.length === 0 && this.removals.length === 0
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.rows.push({ key, value })
  }

  remove(key: Uint8Array): void {
    this.rows.push({ key })
  }

  /** What to do once the transaction is durable, and what to undo when it failed. */
  afterwards(committed: () => void, failed?: () => void): void {
    this.#committed.push(committed)
    if (failed !== undefined) this.#failed.push(failed)
  }

  /** The transaction is durable. */
  commit(): void {
    for (const act of this.#committed) act()
  }

  /** The transaction failed: undoes in reverse order. */
  rollBack(): void {
    for (const act of this.#failed.reverse()) act()
  }
}
