import type { Appended, Entry, Offset } from '../../log/port.ts'

/** One commit of a claim, as it is written. */
export interface CommitPart {
  readonly groupId: number
  readonly partition: number
  readonly epoch: number
  readonly puts: readonly { readonly key: Buffer; readonly value: Uint8Array }[]
  readonly deletes: readonly Buffer[]
  readonly needs: Readonly<Record<string, Offset>>
  /** Throws when this commit must not be written, because the claim is over or an earlier commit of it has failed. */
  checkHeld(): void
  /** The epoch in the database is another one: what the commit is to be refused with. */
  notHeld(): Error
}

/** Something that is to become part of a transaction. */
export interface Step {
  readonly sizeBytes: number
  readonly entries: readonly Entry[]
  readonly signal?: AbortSignal | undefined
  readonly commit?: CommitPart
  resolve(appended: readonly Appended[]): void
  /** Called at once when the step is refused, so that steps behind it can know. */
  reject(error: unknown): void
}

/** The most bytes that one call may bring into a transaction. */
export const maxCallBytes = 64 * 1024 * 1024

const entryBytes = 40

/** What entries bring into a transaction, approximately. */
export function sizeOf(entries: readonly Entry[]): number {
  let bytes = 0
  for (const { value } of entries) bytes += entryBytes + value.length
  return bytes
}
