import type { Runtime } from '../core/runtime.ts'

/**
 * A second, small port: the changes of one table of a database, in order. Engines that are a database offer it; what is read from it
 * goes into any log.
 *
 * - Every change that is committed from the beginning on is given, and so is none that was not. Those of one row are in the order in
 *   which they were made; those of one transaction are too.
 * - A feed is opened at the `position` of the last batch that is durable, or at undefined the first time, and goes on behind that. So a
 *   batch is given again exactly as long as its position is not kept together with what came of it.
 * - One process at a time reads a feed. Another one that opens it takes it over.
 */
export interface TableFeed {
  /** Where the rows are: a path that names the database and the table, without a secret. */
  readonly origin: string
  /** Resolves with what comes next, as soon as there is something; it may be nothing but a position. */
  next(signal: AbortSignal): Promise<FeedBatch>
  /** This position, and all that came before it, is durable: the database need not keep it any more. */
  kept(position: unknown): Promise<void>
  close(): Promise<void>
}

/** What a feed gives at once. */
export interface FeedBatch {
  readonly changes: readonly RowChange[]
  /** Behind them: JSON, of a few kilobytes. */
  readonly position: unknown
}

/**
 * A row as JSON. Booleans, small integers, floating-point numbers and JSON are themselves; `bigint` and `numeric` are text, because
 * JavaScript's numbers cannot hold them all; arrays hold the same; times are ISO 8601; all else is text as PostgreSQL writes it.
 */
export type Row = Readonly<Record<string, unknown>>

/** What has happened to a row: `read` is one that was there when the feed began. */
export type ChangeKind = 'read' | 'inserted' | 'updated' | 'deleted'

/** One change of one row. */
export interface RowChange {
  readonly kind: ChangeKind
  /** Unique within the feed, and the same however often it is given. */
  readonly id: string
  /** The primary key: the text of its column, or a JSON array of the texts of several. */
  readonly key: string
  /** The row as it was; null for one that is new. */
  readonly before: Row | null
  /** The row as it is; null for one that is gone. */
  readonly after: Row | null
  /** When it was made, in milliseconds since 1970 UTC. */
  readonly timeMs: number
  /** Why rows are not known, where they are not; both are null then. */
  readonly problem?: string
}

/** Which changes a feed gives. */
export interface TableFeedOptions {
  /** Names the feed in the database: each name is a feed of its own. */
  readonly name: string
  /** The URL of the database. */
  readonly database: string
  /** The name of the table, with its schema unless that is on the search path. */
  readonly table: string
  /** Whether the rows that are there are given first. */
  readonly from: 'start' | 'now'
  /** How the database tells of changes: by triggers on the table, or by logical replication. */
  readonly capture: 'triggers' | 'replication'
  readonly position: unknown
  readonly runtime: Runtime
}

/** Opens a feed. `SOURCE_INVALID` when the table cannot be followed so, and what connecting can fail with. */
export type OpenTableFeed = (options: TableFeedOptions) => Promise<TableFeed>
