import type { FeedBatch, RowChange } from '../../../log/table-feed.ts'
import type { Connection } from '../connection.ts'
import type { FollowedTable } from './followed-table.ts'

/** How many changes are taken at once, and how many bytes of them. */
const most = { changes: 500, bytes: 4 * 1024 * 1024 } as const

/** Where a feed of captured changes stands: the last ones that were taken. They may still be in their table, and count no more. */
export interface CapturedPosition {
  readonly taken: readonly number[]
}

/**
 * The changes that were captured in a table, for one source. What is taken is remembered by its numbers until it is deleted, so a change
 * whose transaction commits late, with a smaller number, is not passed over.
 */
export class CapturedChanges {
  readonly #connection: Connection
  readonly #schema: string
  readonly #source: string
  readonly #table: FollowedTable

  constructor(connection: Connection, at: { schema: string; source: string; table: FollowedTable }) {
    this.#connection = connection
    this.#schema = at.schema
    this.#source = at.source
    this.#table = at.table
  }

  /** What is there, in order; undefined when nothing is. */
  async take(): Promise<(FeedBatch & { readonly position: CapturedPosition }) | undefined> {
    const rows = await this.#connection.rows(
      `select sequence, kind, before, after, extract(epoch from at)::double precision * 1000 as time_ms
       from (
         select *, sum(size) over (order by sequence) - size as bytes_before from (
           select *, coalesce(octet_length(before), 0) + coalesce(octet_length(after), 0) as size
           from "${this.#schema}".change where source = $1 order by sequence limit ${most.changes}
         ) as first
       ) as measured
       where bytes_before < ${most.bytes} order by sequence`,
      [this.#source],
    )
    if (rows.length === 0) return undefined
    const changes = rows.flatMap(({ sequence, kind, before, after, time_ms }): RowChange[] => {
      const change = {
        kind: kind as RowChange['kind'],
        before: this.#table.parse(before),
        after: this.#table.parse(after),
      }
      return this.#table.changesOf(change, { id: String(sequence), timeMs: Math.floor(Number(time_ms)) })
    })
    return { changes, position: { taken: rows.map(({ sequence }) => Number(sequence)) } }
  }

  /** They are durable elsewhere. */
  async forget({ taken }: CapturedPosition): Promise<void> {
    if (taken.length === 0) return
    await this.#connection.query(`delete from "${this.#schema}".change where sequence = any ($1::bigint[])`, [
      taken,
    ])
  }
}
