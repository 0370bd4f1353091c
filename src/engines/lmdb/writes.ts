import type { StagedRecords } from './staged-records.ts'

/** What one transaction is to write, and what becomes of the memory beside it. Later rows win over earlier ones. */
export class Writes {
  /** The records of each place that it appends to. */
  readonly records: StagedRecords[] = []
  recordBytes = 0
  readonly rows: { readonly key: Uint8Array; readonly value?: Uint8Array }[] = []
  readonly #committed: (() => void)[] = []
  readonly #failed: (() => void)[] = []

  get empty(): boolean {
    return this.records.length === 0 && this.rows.length === 0
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
