import { MillraceError } from '../../core/errors.ts'
import {
  type Appended,
  type Change,
  type Claim,
  type KeyRange,
  type KeyValue,
  maxStateKeyBytes,
} from '../../log/port.ts'
import { checksumOf } from './block.ts'
import type { Database } from './database.ts'
import { notOwner, tooLarge } from './failures.ts'
import { type CommitPart, maxCallBytes, type Step, sizeOf } from './step.ts'

/** What a claim needs of the engine. */
export interface ClaimContext {
  readonly database: Database
  /** Counts a call that begins, so that closing waits for it; rejects with `LOG_CLOSED` when it is too late. */
  begin<T>(call: () => Promise<T>): Promise<T>
  /** Throws `TypeError` where an entry names a partition that the log does not have. */
  checkEntries(change: Change): void
  submit(step: Step): void
  /** The claim is to end: one of its commits failed, or its epoch is old. */
  onFailed(claim: PostgresClaim, error: unknown): void
}

const getText = `select s.value, s.checksum
  from claim c cross join unnest($4::bytea[]) with ordinality as w (key, nth)
  left join state s on s.group_id = c.group_id and s.partition = c.partition and s.key = w.key
  where c.group_id = $1 and c.partition = $2 and c.epoch = $3 order by w.nth`

const rangeText = `select s.key, s.value, s.checksum
  from claim c left join lateral (
    select key, value, checksum from state
    where group_id = c.group_id and partition = c.partition and key >= $4::bytea and key < $5::bytea
    order by key limit $6::bigint
  ) as s on true
  where c.group_id = $1 and c.partition = $2 and c.epoch = $3 order by s.key`

/** A claim on one partition number, for as long as its epoch is the current one in the database. */
export class PostgresClaim implements Claim {
  readonly group: string
  readonly groupId: number
  readonly partition: number
  readonly epoch: number
  readonly #context: ClaimContext
  readonly #lost = new AbortController()

  constructor(
    at: {
      readonly group: string
      readonly groupId: number
      readonly partition: number
      readonly epoch: number
    },
    context: ClaimContext,
  ) {
    this.group = at.group
    this.groupId = at.groupId
    this.partition = at.partition
    this.epoch = at.epoch
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  /** Ends the claim in this process. */
  lose(cause?: unknown): void {
    if (!this.signal.aborted) this.#lost.abort(notOwner(this, cause))
  }

  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#context.begin(async () => {
      this.#checkHeld()
      if (keys.length === 0) return []
      const values = [...this.#identity(), keys.map(keyBytes)]
      const rows = await this.#context.database.read('get', getText, values)
      if (rows.length === 0) throw this.#replaced()
      return rows.map((row, index) => {
        return row.value === null ? undefined : this.#checked(keys[index] ?? '', row)
      })
    })
  }

  range({ from, to, limit }: KeyRange): Promise<readonly KeyValue[]> {
    return this.#context.begin(async () => {
      this.#checkHeld()
      const values = [...this.#identity(), Buffer.from(from), Buffer.from(to), Math.max(0, limit)]
      const rows = await this.#context.database.read('range', rangeText, values)
      if (rows.length === 0) throw this.#replaced()
      return rows.flatMap((row) => {
        if (row.key === null) return []
        const key = (row.key as Buffer).toString()
        return [{ key, value: this.#checked(key, row) }]
      })
    })
  }

  commit(change: Change): Promise<readonly Appended[]> {
    return this.#context.begin(
      () =>
        new Promise((resolve, reject) => {
          const fail = (error: unknown) => {
            this.#end(error)
            reject(error)
          }
          try {
            this.#checkHeld()
            this.#context.submit(this.#step(change, resolve, fail))
          } catch (error) {
            fail(error)
          }
        }),
    )
  }

  #step(change: Change, resolve: Step['resolve'], reject: Step['reject']): Step {
    this.#context.checkEntries(change)
    const puts = change.puts.map(({ key, value }) => ({ key: keyBytes(key), value }))
    const deletes = change.deletes.map(keyBytes)
    let sizeBytes = sizeOf(change.appends)
    for (const { key, value } of puts) sizeBytes += key.length + value.length
    for (const key of deletes) sizeBytes += key.length
    if (sizeBytes > maxCallBytes) throw tooLarge(sizeBytes, maxCallBytes)
    const { groupId, partition, epoch } = this
    const needs = change.needs ?? {}
    const commit: CommitPart = {
      ...{ groupId, partition, epoch, puts, deletes, needs },
      checkHeld: () => this.#checkHeld(),
      notHeld: () => notOwner(this),
    }
    return { sizeBytes, entries: change.appends, commit, resolve, reject }
  }

  #identity(): readonly number[] {
    return [this.groupId, this.partition, this.epoch]
  }

  #checkHeld(): void {
    if (this.signal.aborted) throw this.signal.reason
  }

  /** After a failed commit nothing of this claim may follow: a cursor would get ahead of its effects. */
  #end(error: unknown): void {
    if (!this.signal.aborted) this.#context.onFailed(this, error)
  }

  #replaced(): Error {
    const error = notOwner(this)
    this.#end(error)
    return error
  }

  #checked(key: string, { value, checksum }: Readonly<Record<string, unknown>>): Uint8Array {
    const bytes = new Uint8Array(value as Buffer)
    if (checksumOf(bytes) === Number(checksum)) return bytes
    throw new MillraceError('RECORD_CORRUPT', 'A value of the state does not match its checksum.', {
      where: `${this.group}/${this.partition}/${key}`,
      fix: 'Restore the database from a backup, or rebuild this state from its events.',
      facts: { group: this.group, partition: this.partition, key },
    })
  }
}

function keyBytes(key: string): Buffer {
  if (typeof key !== 'string' || !key.isWellFormed()) {
    throw new TypeError('a state key must be a string of valid Unicode')
  }
  const bytes = Buffer.from(key)
  if (bytes.length <= maxStateKeyBytes) return bytes
  throw new TypeError(`a state key has at most ${maxStateKeyBytes} bytes of UTF-8`)
}
