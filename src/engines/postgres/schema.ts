import { MillraceError } from '../../core/errors.ts'
import { logOccupied, type Move } from '../../log/moving.ts'
import { Connection, type Connector } from './connection.ts'
import { storageFailed } from './failures.ts'
import { checkUsable, createMoveText, note, readMarks } from './marks.ts'
import { createWriteFunction } from './write-function.ts'

/** What tells a log from every other, a copy of it on another server included. */
export type LogIdentity = string

/** What is stored of a log as a whole. */
export interface LogRow {
  readonly partitions: number
  readonly identity: LogIdentity
  /** What the fingerprints of its ids are made with. */
  readonly idKey: string
  /** Whether the server flushes what it acknowledges. */
  readonly flushes: boolean
}

const oldestServer = 130_000
const firstVersion = `
create table log (
  single boolean primary key default true check (single),
  version integer not null,
  partitions integer not null
);
create table topic (
  id integer generated always as identity primary key,
  name text collate "C" not null unique,
  options text not null
);
-- A topic that was deleted and of which records are left.
create table deleted_topic (id integer primary key);
create table place (
  topic_id integer not null,
  partition integer not null,
  start_offset bigint not null default 0,
  end_offset bigint not null default 0,
  -- The bytes of all records that were ever appended, and of those that were trimmed.
  appended_bytes bigint not null default 0,
  trimmed_bytes bigint not null default 0,
  last_time_ms double precision not null default '-Infinity',
  primary key (topic_id, partition)
) with (fillfactor = 50);
-- Neither times nor sums of bytes fall as offsets grow: a search by either halves over the primary key.
create table record (
  topic_id integer not null,
  partition integer not null,
  "offset" bigint not null,
  time_ms double precision not null,
  appended_bytes bigint not null,
  checksum bigint not null,
  value bytea not null,
  primary key (topic_id, partition, "offset")
);
create sequence identity_sequence;
create table identity (
  topic_id integer not null,
  id bytea not null,
  partition integer not null,
  "offset" bigint not null,
  at_ms double precision not null,
  sequence bigint not null,
  primary key (topic_id, id)
);
create index identity_by_sequence on identity (sequence);
create table consumer_group (
  id integer generated always as identity primary key,
  name text collate "C" not null unique
);
create table process (
  id text primary key,
  seen timestamptz not null,
  -- The session of the server by which it is seen: it ends with the process.
  session_pid integer not null,
  session_start timestamptz not null
) with (fillfactor = 50);
create table member (
  group_id integer not null,
  member_id text collate "C" not null,
  process_id text not null,
  primary key (group_id, member_id)
);
create table claim (
  group_id integer not null,
  partition integer not null,
  epoch bigint not null,
  member_id text collate "C",
  primary key (group_id, partition)
) with (fillfactor = 50);
create table state (
  group_id integer not null,
  partition integer not null,
  key bytea not null,
  checksum bigint not null,
  value bytea not null,
  primary key (group_id, partition, key)
);
create table need (
  topic_id integer not null,
  partition integer not null,
  group_id integer not null,
  "offset" bigint not null,
  primary key (topic_id, partition, group_id)
) with (fillfactor = 50);
-- The last transaction of each writer, by which it finds out what became of one whose answer was lost.
create table writer (
  id text primary key,
  batch bigint not null,
  at timestamptz not null default now()
) with (fillfactor = 50);
`

const secondVersion = `
alter table log add column id uuid not null default gen_random_uuid();
-- What transactions of others have published, until it is moved into the log.
create table outbox (
  sequence bigint generated always as identity primary key,
  topic text collate "C" not null,
  partition integer not null,
  time_ms double precision not null,
  deduplication_id text collate "C",
  value bytea not null
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
-- What could not be moved, as when its id stands for another event already.
create table outbox_refused (
  sequence bigint primary key,
  topic text collate "C" not null,
  partition integer not null,
  time_ms double precision not null,
  deduplication_id text collate "C",
  value bytea not null,
  code text not null,
  message text not null,
  at timestamptz not null
);
`

const thirdVersion = `
-- Whoever writes takes this one first.
lock table place in access exclusive mode;
-- A row of earlier versions is one record without a head. Processes of these do not find the table any more, and fail.
alter table record rename to record_block;
alter table record_block add column head bytea,
  alter column head set storage external, alter column value set storage external;
alter table log add column id_count bigint not null default 0,
  -- Of a log of an earlier version it is empty.
  add column id_key text not null default '';
create table id_block (
  -- How many ids were ever written, with those of this row.
  sequence bigint primary key,
  at_ms double precision not null,
  ids bytea not null
);
alter table id_block alter column ids set storage external;
insert into id_block (sequence, at_ms, ids)
  select max(nth), at_ms, string_agg(substring(id for 8) || int4send(topic_id) || substring(int4send(partition) from 3)
    || substring(int8send("offset") from 3), '' order by nth)
  from (select *, row_number() over (order by at_ms, sequence) as nth from identity) as i
  group by at_ms, nth / 1000;
update log set id_count = (select count(*) from identity);
drop table identity;
drop sequence identity_sequence;
`

const fourthVersion = `
-- Whoever writes takes this one first.
lock table place in access exclusive mode;
-- No record of a block counts as earlier, whatever the head says. Blocks of earlier versions have none.
alter table record_block add column least_time_ms double precision;
-- Processes of earlier versions do not find the table any more, and fail.
alter table id_block rename to id_batch;
alter index id_block_pkey rename to id_batch_pkey;
-- Half of each fingerprint. Rows of earlier versions have none of these, and topics and offsets as they are among their ids.
alter table id_batch add column lows integer[], add column topic_ids integer[], add column ends bigint[],
  alter column lows set storage external;
-- Where the last transaction of a writer has written, and up to which one none may begin any more.
alter table writer add column ids_before bigint, add column topic_ids integer[], add column ends bigint[],
  add column fenced bigint not null default 0;
${createWriteFunction}
`

/** What leads from each version of the tables to the next: the first from nothing to version 1. */
export const migrations: readonly string[] = [firstVersion, secondVersion, thirdVersion, fourthVersion]

/** What the tables of a log are prepared for. */
export interface Preparation {
  /** Of a log that is created. */
  readonly partitions: number
  /** For a log that is to be moved here: it must not be there yet. */
  readonly making?: Move
  /** Prepares a log too that was moved, or is being moved. */
  readonly whateverItsMarks?: true
}

/**
 * Creates or migrates the tables of a log and reads what it is. One process at a time does that. `STORAGE_FAILED` when the
 * server is too old, or a newer version of Millrace has written the log; `LOG_MOVED` and `IMPORT_UNFINISHED` for what is no log to be used.
 */
export async function prepareSchema(connector: Connector, preparation: Preparation): Promise<LogRow> {
  const { schema, where } = connector.settings
  const connection = await Connection.open(connector, { search_path: schema })
  try {
    const flushes = await checkServer(connection, where)
    const present = await readLog(connection)
    if (present !== undefined && preparation.making !== undefined) throw logOccupied(where)
    if (!preparation.whateverItsMarks) checkUsable(await readMarks(connection), where)
    if (present?.version === migrations.length) return await describe(connection, present, flushes)
    // Before the transaction begins, so that it knows of what another process made while this one waited. It ends with the session.
    await connection.query('select pg_advisory_lock(hashtextextended($1, 7))', [`millrace ${schema}`])
    await connection.query('begin')
    await connection.query("select set_config('search_path', $1, true)", [schema])
    await migrate(connection, connector, preparation)
    await connection.query('commit')
    const made = await readLog(connection)
    if (made === undefined) throw storageFailed(where, new Error('the tables were removed'))
    return await describe(connection, made, flushes)
  } finally {
    connection.close()
  }
}

async function migrate(
  connection: Connection,
  { settings }: Connector,
  { partitions, making }: Preparation,
): Promise<void> {
  const version = (await readLog(connection))?.version ?? 0
  if (version > migrations.length) {
    throw new MillraceError(
      'STORAGE_FAILED',
      `The log has version ${version}; this Millrace reads ${migrations.length}.`,
      {
        where: settings.where,
        fix: 'Start it with the newer version of Millrace that wrote it.',
      },
    )
  }
  if (version === 0) {
    // A role that may not create one can be given one that is there.
    const [found] = await connection.rows('select to_regnamespace($1) is not null as present', [
      settings.schema,
    ])
    if (found?.present !== true) await connection.query(`create schema "${settings.schema}"`)
  }
  await connection.query(migrations.slice(version).join('\n'))
  await connection.query(
    `insert into log (version, partitions, id_key) values ($1, $2, gen_random_uuid()::text)
     on conflict (single) do update set version = excluded.version`,
    [migrations.length, partitions],
  )
  if (making === undefined) return
  if (version > 0) throw logOccupied(settings.where)
  await connection.query(createMoveText)
  await note(connection, 'from', making)
}

async function describe(
  connection: Connection,
  { partitions }: { readonly partitions: number },
  flushes: boolean,
): Promise<LogRow> {
  const [row] = await connection.rows(
    `select l.id_key, l.id::text || ' ' || d.oid::text || ' ' || c.system_identifier::text as identity
     from log l, pg_control_system() c, pg_database d where d.datname = current_database()`,
  )
  return { partitions, flushes, identity: String(row?.identity), idKey: String(row?.id_key) }
}

/** What the migrations create, in order. */
const created = [
  ...migrations
    .join('\n')
    .matchAll(/^(?:create (table|sequence|function)|alter table \w+ rename to) (\w+)/gm),
]

/** Removes the tables of a log, and the schema where nothing else is in it and this role may. */
export async function dropLog(connection: Connection, { settings }: Connector): Promise<void> {
  await connection.query('drop table if exists move')
  for (const [, kind = 'table', name] of created.toReversed()) {
    await connection.query(`drop ${kind} if exists ${name} cascade`)
  }
  await connection.query('savepoint dropped')
  await connection
    .query(`drop schema "${settings.schema}"`)
    .catch(() => connection.query('rollback to savepoint dropped'))
}

/** What the log of a connection's schema is; undefined where there is none. */
export async function readLog(
  connection: Connection,
): Promise<{ readonly version: number; readonly partitions: number } | undefined> {
  const [found] = await connection.rows("select to_regclass('log') is not null as present")
  if (found?.present !== true) return undefined
  const [row] = await connection.rows('select version, partitions from log')
  if (row === undefined) return undefined
  return { version: Number(row.version), partitions: Number(row.partitions) }
}

/** Gives whether the server flushes what it acknowledges, as it is set for this role and database. */
async function checkServer(connection: Connection, where: string): Promise<boolean> {
  const [row] = await connection.rows(
    `select current_setting('server_version_num')::integer as version, current_setting('server_version') as named,
            current_setting('fsync') = 'on' and current_setting('full_page_writes') = 'on'
              and current_setting('synchronous_commit') <> 'off' as flushes,
            pg_is_in_recovery() as follows`,
  )
  if (Number(row?.version) < oldestServer) {
    throw storageFailed(where, new Error(`its version is ${row?.named}, and 13 is the oldest that will do`))
  }
  if (row?.follows === true) throw storageFailed(where, new Error('it is a standby, which takes no writes'))
  return row?.flushes === true
}
