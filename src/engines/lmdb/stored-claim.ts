import { MillraceError } from '../../core/errors.ts'
import {
  type Appended,
  type Change,
  type Claim,
  type KeyRange,
  type KeyValue,
  maxStateKeyBytes,
} from '../../log/port.ts'
import { checkSize, sizeOf } from './appending.ts'
import { stateKey, stateKeyIn } from './keys.ts'
import { sealBytes, sealInto, unseal } from './sealed.ts'
import type { Row, Store } from './store.ts'
import type { Writes } from './writes.ts'

/** What every key of a state begins with, before the part that its claim names. */
const prefixBytes = stateKey(0, 0, '').length

/** A value on its way; no literal, see `Waiting` of the group commit. */
class PutRow implements Row {
  readonly key: Uint8Array
  readonly value: Uint8Array

  constructor(key: Uint8Array, value: Uint8Array) {
    this.key = key
    this.value = value
  }
}

/** What a claim needs of the engine. */
export interface ClaimContext {
  readonly store: Store
  readonly groupId: number
  /** Counts a call that begins, so that closing waits for it; rejects with `LOG_CLOSED` when it is too late. */
  begin<T>(call: () => T | Promise<T>): Promise<T>
  /** Makes a step durable, as `GroupCommit.submit` does. */
  submit(sizeBytes: number, stage: (writes: Writes) => readonly Appended[]): Promise<readonly Appended[]>
  stageAppends(change: Change, writes: Writes): readonly Appended[]
  stageNeeds(needs: Readonly<Record<string, number>>, partition: number, writes: Writes): void
  /** A commit of this claim failed. */
  onFailed(claim: StoredClaim): void
}

/** A claim on one partition number. */
export class StoredClaim implements Claim {
  readonly group: string
  readonly partition: number
  readonly epoch: number
  readonly memberId: string
  readonly #context: ClaimContext
  readonly #controller = new AbortController()
  #failure: unknown

  constructor(
    at: { group: string; partition: number; epoch: number; memberId: string },
    context: ClaimContext,
  ) {
    this.group = at.group
    this.partition = at.partition
    this.epoch = at.epoch
    this.memberId = at.memberId
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Ends the claim: whatever has not been staged by now is refused. */
  lose(): void {
    this.#controller.abort(this.#notOwner(this.#failure))
  }

  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#context.begin(() => {
      this.#checkHeld()
      return keys.map((key) => {
        const rowKey = this.#rowKey(key)
        const sealed = this.#context.store.get(rowKey)
        return sealed === undefined ? undefined : this.#unseal(key, { key: rowKey, value: sealed })
      })
    })
  }

  range(query: KeyRange): Promise<readonly KeyValue[]> {
    return this.#context.begin(() => {
      this.#checkHeld()
      return this.#range(query)
    })
  }

  #range({ from, to, limit }: KeyRange): KeyValue[] {
    const found: KeyValue[] = []
    const start = this.#boundKey(from)
    const end = this.#boundKey(to)
    if (limit < 1 || Buffer.compare(start, end) >= 0) return found
    this.#context.store.visit({ start, end, limit }, (row) => {
      const key = stateKeyIn(row.key)
      return found.push({ key, value: this.#unseal(key, row) }) < limit
    })
    return found
  }

  commit(change: Change): Promise<readonly Appended[]> {
    return this.#context.begin(() => {
      try {
        this.#checkHeld()
        const rows = this.#rowsOf(change)
        const bytes = rows.reduce((sum, { key, value }) => sum + key.length + (value?.length ?? 0), 0)
        const sizeBytes = checkSize(bytes + sizeOf(change.appends))
        return this.#context.submit(sizeBytes, (writes) => this.#tryToStage(change, rows, writes))
      } catch (error) {
        this.#fail(error)
        throw error
      }
    })
  }

  /** Values share one piece of memory, since LMDB asks for the address of each. */
  #rowsOf({ deletes, puts }: Change): { key: Uint8Array; value?: Uint8Array }[] {
    const rows: { key: Uint8Array; value?: Uint8Array }[] = []
    for (const key of deletes) rows.push({ key: this.#rowKey(key) })
    const bytes = puts.reduce((sum, { value }) => sum + sealBytes + value.length, 0)
    const memory = Buffer.allocUnsafeSlow(bytes)
    let position = 0
    for (const { key, value } of puts) {
      const rowKey = this.#rowKey(key)
      const end = position + sealBytes + value.length
      const sealed = memory.subarray(position, end)
      sealInto(sealed, value, rowKey)
      rows.push(new PutRow(rowKey, sealed))
      position = end
    }
    return rows
  }

  #tryToStage(
    change: Change,
    rows: readonly { key: Uint8Array; value?: Uint8Array }[],
    writes: Writes,
  ): readonly Appended[] {
    try {
      return this.#stage(change, rows, writes)
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  #stage(
    change: Change,
    rows: readonly { key: Uint8Array; value?: Uint8Array }[],
    writes: Writes,
  ): readonly Appended[] {
    if (this.signal.aborted) throw this.signal.reason
    const appended = this.#context.stageAppends(change, writes)
    writes.rows.push(...rows)
    if (change.needs !== undefined) this.#context.stageNeeds(change.needs, this.partition, writes)
    writes.afterwards(
      () => undefined,
      () => this.#fail(new Error('its transaction failed')),
    )
    return appended
  }

  /** After a failed commit nothing of this claim may follow: a cursor would get ahead of its effects. */
  #fail(error: unknown): void {
    if (this.signal.aborted) return
    this.#failure = error
    this.#context.onFailed(this)
    this.lose()
  }

  #checkHeld(): void {
    if (this.signal.aborted) throw this.signal.reason
  }

  #notOwner(cause: unknown): MillraceError {
    const why = cause === undefined ? 'was lost' : 'had a commit that failed'
    return new MillraceError('NOT_OWNER', `The claim on partition ${this.partition} ${why}.`, {
      where: `${this.group}/${this.partition}`,
      fix: 'Take the partition anew by joining the group, and go on from what is committed.',
      facts: { group: this.group, partition: this.partition, epoch: this.epoch },
      cause,
    })
  }

  #rowKey(key: string): Buffer {
    if (typeof key !== 'string' || !key.isWellFormed()) {
      throw new TypeError('a state key must be a string of valid Unicode')
    }
    const row = stateKey(this.#context.groupId, this.partition, key)
    if (row.length > prefixBytes + maxStateKeyBytes) {
      throw new TypeError(`a state key has at most ${maxStateKeyBytes} bytes of UTF-8`)
    }
    return row
  }

  /** A bound may be longer than any key: cutting it behind the longest key changes nothing. */
  #boundKey(key: string): Buffer {
    const bound = stateKey(this.#context.groupId, this.partition, key)
    return bound.subarray(0, prefixBytes + maxStateKeyBytes + 1)
  }

  #unseal(key: string, row: Row): Uint8Array {
    const value = unseal(row.value, row.key)
    if (value !== undefined) return value
    throw new MillraceError('RECORD_CORRUPT', 'A value of the state does not match its checksum.', {
      where: `${this.group}/${this.partition}/${key}`,
      fix: 'Restore the log from a backup, or rebuild this state from its events.',
      facts: { group: this.group, partition: this.partition, key },
    })
  }
}
