import { isMillraceError } from '../../../core/errors.ts'
import type { Entry, RefusedEntry } from '../../../log/port.ts'
import type { Connection, Row } from '../connection.ts'
import type { Step } from '../step.ts'

/** How many entries are moved into the log by one transaction, and how many bytes. */
const most = { entries: 2000, bytes: 16 * 1024 * 1024 } as const

/** Of those who move entries there is one at a time, so that none overtakes another. Nobody waits to be that one. */
const lockText = `select pg_try_advisory_xact_lock(hashtextextended($1, 11)) as held`

/** What waits, as far as it fits; at least one entry. Sequence numbers are given in the order in which entries were entered. */
const waitingText = `select sequence, topic, partition, time_ms, deduplication_id, value
  from (
    select *, sum(octet_length(value)) over (order by sequence) - octet_length(value) as bytes_before
    from (select * from outbox order by sequence limit ${most.entries}) as first
  ) as measured
  where bytes_before < ${most.bytes} order by sequence`

const finishText = `with gone as (
    delete from outbox where sequence = any ($1::bigint[]) returning *
  )
  insert into outbox_refused (sequence, topic, partition, time_ms, deduplication_id, value, code, message, at)
  select g.sequence, g.topic, g.partition, g.time_ms, g.deduplication_id, g.value, r.code, r.message, clock_timestamp()
  from gone g join unnest($2::bigint[], $3::text[], $4::text[]) as r (sequence, code, message)
    on r.sequence = g.sequence`

/** Entries of the outbox that a transaction is about to move into the log. */
export class MovingEntries {
  readonly steps: readonly Step[]
  readonly refused: RefusedEntry[] = []
  readonly #isFull: boolean
  readonly #sequences: readonly number[]
  readonly #staying = new Set<number>()
  readonly #refusals = new Map<number, RefusedEntry>()
  /** Aborted once an entry must stay: then those behind it stay too. */
  readonly #blocked = new AbortController()

  private constructor(isHeld: boolean, rows: readonly Row[]) {
    if (!isHeld) this.#blocked.abort()
    this.#sequences = rows.map(({ sequence }) => Number(sequence))
    this.steps = rows.map((row) => this.#stepFor(Number(row.sequence), entryOf(row)))
    let bytes = 0
    for (const { sizeBytes } of this.steps) bytes += sizeBytes
    this.#isFull = rows.length === most.entries || bytes >= most.bytes
  }

  /**
   * Begins a transaction and takes what waits; nothing when another session is doing that. Two statements, because what is seen is
   * decided when a statement begins, and that must be after the session before has committed.
   */
  static async take(connection: Connection, schema: string): Promise<MovingEntries> {
    const [, [lock], rows] = await Promise.all([
      connection.query('begin'),
      connection.rows(lockText, [`millrace ${schema}`], 'lock-outbox'),
      connection.rows(waitingText, [], 'take-outbox'),
    ])
    const isHeld = lock?.held === true
    return new MovingEntries(isHeld, isHeld ? rows : [])
  }

  /** Whether entries could not be moved now: the log is full, or another session is moving them. */
  get isBlocked(): boolean {
    return this.#blocked.signal.aborted
  }

  /** Whether there may be more than fits into one transaction. */
  get hasMore(): boolean {
    return this.#isFull && !this.isBlocked
  }

  /** Whether the transaction changes the outbox. */
  get changes(): boolean {
    return this.#sequences.length > this.#staying.size
  }

  /** Takes what was moved out of the outbox, and keeps aside what the log has refused. */
  async finish(connection: Connection): Promise<void> {
    if (!this.changes) return
    const refusals = [...this.#refusals]
    await connection.query(
      finishText,
      [
        this.#sequences.filter((sequence) => !this.#staying.has(sequence)),
        refusals.map(([sequence]) => sequence),
        refusals.map(([, { error }]) => (isMillraceError(error) ? error.code : 'INTERNAL')),
        refusals.map(([, { error }]) => error.message),
      ],
      'finish-outbox',
    )
  }

  #stepFor(sequence: number, entry: Entry): Step {
    return {
      sizeBytes: entry.value.length,
      entries: [entry],
      signal: this.#blocked.signal,
      resolve: () => undefined,
      reject: (error) => this.#reject(sequence, entry, error),
    }
  }

  #reject(sequence: number, entry: Entry, error: unknown): void {
    if (isMillraceError(error, 'ID_REUSED') || isMillraceError(error, 'TOPIC_UNKNOWN')) {
      const refused = { ...entry, error }
      this.#refusals.set(sequence, refused)
      this.refused.push(refused)
      return
    }
    this.#staying.add(sequence)
    this.#blocked.abort(error)
  }
}

function entryOf(row: Row): Entry {
  return {
    topic: String(row.topic),
    partition: Number(row.partition),
    timeMs: Number(row.time_ms),
    value: row.value as Buffer,
    ...(row.deduplication_id === null ? {} : { deduplicationId: String(row.deduplication_id) }),
  }
}
