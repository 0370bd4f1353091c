import type { FeedBatch, TableFeed } from '../../../log/table-feed.ts'
import type { Connection, Connector } from '../connection.ts'
import { ConnectionLost } from '../failures.ts'
import type { CapturedChanges, CapturedPosition } from './captured-changes.ts'
import { nameOfSource } from './change-tables.ts'
import { type FollowedTable, tableInvalid } from './followed-table.ts'
import { lsnOf, lsnText } from './lsn.ts'
import { loadReplicationClient, type Replication } from './replication-client.ts'
import { type StreamPosition, TransactionStream } from './transaction-stream.ts'
import { readRows } from './trigger-feed.ts'

type Position = CapturedPosition | StreamPosition

/** What a feed by replication works with. */
export interface ReplicationFeedTools {
  readonly connector: Connector
  readonly connection: Connection
  readonly captured: CapturedChanges
  readonly table: FollowedTable
  readonly slot: string
  /** Transactions that were committed before this place are among the rows that were read. */
  readonly readUntil: string
  readonly origin: string
}

/** The changes that a slot streams, behind the rows that were read when it began. */
export class ReplicationFeed implements TableFeed {
  readonly origin: string
  readonly #tools: ReplicationFeedTools
  readonly #position: Position | undefined
  #replication: Replication | undefined
  #stream: TransactionStream | undefined
  /** Up to where the server need not keep its journal for this slot. */
  #confirmed = '0/0'
  /** Everything that was given is durable. */
  #isKept = true

  private constructor(tools: ReplicationFeedTools, position: Position | undefined) {
    this.origin = tools.origin
    this.#tools = tools
    this.#position = position
  }

  static async open(tools: ReplicationFeedTools, position: Position | undefined): Promise<ReplicationFeed> {
    if (position !== undefined && 'taken' in position) await tools.captured.forget(position)
    return new ReplicationFeed(tools, position)
  }

  async next(signal: AbortSignal): Promise<FeedBatch> {
    this.#tools.connection.throwIfLost()
    const read = this.#stream === undefined ? await this.#tools.captured.take() : undefined
    if (read !== undefined) return read
    this.#stream ??= await this.#begin()
    const batch = await this.#stream.next(signal)
    this.#isKept = false
    return batch
  }

  async kept(position: unknown): Promise<void> {
    const kept = position as Position
    if ('taken' in kept) return this.#tools.captured.forget(kept)
    this.#isKept = true
    if (kept.end !== undefined) this.#confirm(kept.end)
  }

  async close(): Promise<void> {
    this.#tools.connection.close()
    this.#stream?.fail(new ConnectionLost('the feed was closed'))
    await this.#replication?.destroy().catch(() => undefined)
  }

  async #begin(): Promise<TransactionStream> {
    const { connector, connection, slot, table, readUntil } = this.#tools
    // Who had it before owns the source no more; its session may not know yet.
    const text = `select pg_terminate_backend(active_pid) from pg_replication_slots where slot_name = $1 and active`
    await connection.query(text, [slot])
    const from = this.#position !== undefined && 'commit' in this.#position ? this.#position : undefined
    const stream = new TransactionStream(table, { readUntil, from })
    const client = await loadReplicationClient()
    const replication = client.connect(connector.settings.connectionString)
    const plugin = client.plugin(slot)
    this.#replication = replication
    replication.on('data', (_lsn, message) => stream.take(message))
    replication.on('error', (error) => stream.fail(new ConnectionLost(error.message, { cause: error })))
    replication.on('heartbeat', (lsn) => {
      // The server has sent all that there was: what it keeps for this slot is of other tables. What came right before this
      // may not have been taken yet: the library tells of a heartbeat at once, and of messages one by one.
      this.#confirm(stream.isThrough(plugin.heard) && this.#isKept ? lsn : this.#confirmed)
    })
    connection.onLost((error) => stream.fail(error))
    replication.subscribe(plugin, slot).then(
      () => stream.fail(new ConnectionLost('the stream of changes has ended')),
      (error) => stream.fail(error),
    )
    return stream
  }

  /** Tells the server where the next transaction begins. The library adds one to what it is given, which would skip one that begins there. */
  #confirm(lsn: string): void {
    if (lsnOf(lsn) > lsnOf(this.#confirmed)) this.#confirmed = lsn
    const confirmed = lsnOf(this.#confirmed)
    if (confirmed > 0n) this.#replication?.acknowledge(lsnText(confirmed - 1n)).catch(() => undefined)
  }
}

/** What sets up a slot. */
export interface SlotOptions {
  readonly schema: string
  readonly source: string
  readonly table: FollowedTable
  readonly reads: boolean
}

/** Throws `SOURCE_INVALID` where the server or the role does not allow it. */
export async function checkReplication(connection: Connection, table: FollowedTable): Promise<void> {
  const [row] = await connection.rows(
    `select current_setting('wal_level') as level, r.rolreplication or r.rolsuper as may,
       pg_has_role(c.relowner, 'usage') as owns
     from pg_roles r, pg_class c where r.rolname = current_user and c.oid = $1::oid`,
    [table.id],
  )
  const refuse = (why: string, fix: string) =>
    tableInvalid(table.name, why, `${fix} Or use capture: 'triggers'.`)
  if (row?.level !== 'logical') {
    throw refuse(
      `the server has wal_level = ${row?.level}`,
      'Set wal_level = logical, and restart the server.',
    )
  }
  if (row.may !== true)
    throw refuse('the role may not replicate', 'As an administrator: alter role … replication.')
  if (row.owns !== true) throw refuse('the table has another owner', 'Use the role that owns it.')
}

/** Makes the publication and the slot, and reads the rows before them. What an earlier attempt has made is taken over. */
export async function createSlot(connection: Connection, options: SlotOptions): Promise<void> {
  const { schema, source, table, reads } = options
  const name = nameOfSource(schema, source)
  const [has] = await connection.rows(
    `select exists (select 1 from pg_publication where pubname = $1) as publication,
       exists (select 1 from pg_replication_slots where slot_name = $1) as slot`,
    [name],
  )
  if (has?.publication !== true)
    await connection.query(`create publication "${name}" for table ${table.name}`)
  await connection.query(`alter table ${table.name} replica identity full`)
  // A slot is made outside of transactions that have written.
  await connection.query('commit')
  if (has?.slot !== true)
    await connection.query(`select pg_create_logical_replication_slot($1, 'pgoutput')`, [name])
  await connection.query('begin')
  // Nobody changes a row between what is read and what is streamed.
  if (reads) {
    await connection.query(`lock table ${table.name} in share mode`)
    await readRows(connection, { schema, source, table })
  }
  const until = reads ? 'pg_current_wal_insert_lsn()' : `'0/0'::pg_lsn`
  await connection.query(`update "${schema}".source set read_until = ${until} where name = $1`, [source])
}
