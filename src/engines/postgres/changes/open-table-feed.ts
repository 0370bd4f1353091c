import type { TableFeed, TableFeedOptions } from '../../../log/table-feed.ts'
import { Connection, type Connector, connectorFor } from '../connection.ts'
import { toMillraceError } from '../failures.ts'
import { checkSessions } from '../presence.ts'
import { readSettings } from '../settings.ts'
import { CapturedChanges, type CapturedPosition } from './captured-changes.ts'
import { lockTables, nameOfSource, prepareTables } from './change-tables.ts'
import { FollowedTable } from './followed-table.ts'
import { checkReplication, createSlot, ReplicationFeed } from './replication-feed.ts'
import { createTriggers, TriggerFeed } from './trigger-feed.ts'

/** Reading all rows of a table may take long. */
const setUpTimeoutMs = 6 * 60 * 60 * 1000

/**
 * Opens the feed of a table: sets it up the first time, in the schema beside that of the log (`millrace_changes`), then goes on behind
 * its position. Rejects with `SOURCE_INVALID` when the table cannot be followed, `SESSION_REQUIRED` behind a pooler that shares
 * sessions, `UNREACHABLE`, and `STORAGE_FAILED` when the server refuses, as when the role may not do it.
 */
export async function openTableFeed(options: TableFeedOptions): Promise<TableFeed> {
  const settings = readSettings(options.database)
  const connector = await connectorFor(settings)
  const schema = `${settings.schema}_changes`
  try {
    await checkSessions(connector, options.runtime)
    const { table, readUntil, id } = await setUp(connector, options, schema)
    const database = new URL(settings.connectionString).pathname.slice(1)
    const origin = `postgres/${database}/${table.name.replaceAll('"', '')}`
    const connection = await Connection.open(connector)
    const { runtime, name: source } = options
    const position = positionIn(options.position, id)
    const captured = new CapturedChanges(connection, { schema, source, table })
    if (options.capture === 'triggers') {
      const tools = { connection, captured, schema, source, origin, runtime }
      return withId(id, await TriggerFeed.open(tools, position as CapturedPosition | undefined))
    }
    const slot = nameOfSource(schema, source)
    const tools = { connector, connection, captured, table, slot, readUntil, origin }
    return withId(
      id,
      await ReplicationFeed.open(tools, position as Parameters<typeof ReplicationFeed.open>[1]),
    )
  } catch (error) {
    throw toMillraceError(error, settings.where)
  }
}

/** A source as it is set up. */
interface SourceRow {
  /** Another one each time that it is set up. */
  readonly id: string
  /** Up to where the rows that were read are known to be. */
  readonly readUntil: string
}

async function setUp(
  connector: Connector,
  options: TableFeedOptions,
  schema: string,
): Promise<SourceRow & { readonly table: FollowedTable }> {
  const connection = await Connection.open(connector, {}, setUpTimeoutMs)
  try {
    const table = await FollowedTable.find(connection, options.table)
    if (options.capture === 'replication') await checkReplication(connection, table)
    await lockTables(connection, schema)
    await connection.query('begin')
    await prepareTables(connection, schema)
    const known = await rowOf(connection, options, schema, table)
    const row = known ?? (await make(connection, options, schema, table))
    await connection.query('commit')
    return { ...row, table }
  } finally {
    connection.close()
  }
}

/** The source; undefined where it is not set up as it must be. */
async function rowOf(
  connection: Connection,
  { name, capture }: TableFeedOptions,
  schema: string,
  table: FollowedTable,
): Promise<SourceRow | undefined> {
  const captures =
    capture === 'triggers'
      ? `exists (select 1 from pg_trigger where tgname = $4 || '_row' and tgrelid = s.table_id and tgenabled <> 'D')`
      : `s.read_until is not null and exists (select 1 from pg_replication_slots where slot_name = $4)`
  const [row] = await connection.rows(
    `select s.id::text, coalesce(s.read_until, '0/0')::text as read_until from "${schema}".source s
     where s.name = $1 and s.table_id = $2::oid and s.capture = $3 and ${captures}`,
    [name, table.id, capture, nameOfSource(schema, name)],
  )
  return row === undefined ? undefined : { id: String(row.id), readUntil: String(row.read_until) }
}

async function make(
  connection: Connection,
  { name: source, capture, from }: TableFeedOptions,
  schema: string,
  table: FollowedTable,
): Promise<SourceRow> {
  await connection.query(`select "${schema}".forget($1)`, [source])
  const text = `insert into "${schema}".source (name, table_id, capture) values ($1, $2, $3)`
  await connection.query(text, [source, table.id, capture])
  const options = { schema, source, table, reads: from === 'start' }
  if (capture === 'triggers') await createTriggers(connection, options)
  else await createSlot(connection, options)
  const [row] = await connection.rows(
    `select id::text, coalesce(read_until, '0/0')::text as read_until from "${schema}".source where name = $1`,
    [source],
  )
  return { id: String(row?.id), readUntil: String(row?.read_until) }
}

/** A position is one in a source as it was set up then. */
interface PositionOfSource {
  readonly source: string
  readonly at: unknown
}

function positionIn(position: unknown, id: string): unknown {
  const { source, at } = (position ?? {}) as Partial<PositionOfSource>
  return source === id ? at : undefined
}

function withId(source: string, feed: TableFeed): TableFeed {
  return {
    origin: feed.origin,
    next: async (signal) => {
      const { changes, position: at } = await feed.next(signal)
      return { changes, position: { source, at } satisfies PositionOfSource }
    },
    kept: (position) => feed.kept((position as PositionOfSource).at),
    close: () => feed.close(),
  }
}
