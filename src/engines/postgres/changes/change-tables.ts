import { createHash } from 'node:crypto'
import type { Connection } from '../connection.ts'

/** How the names of triggers, publications and slots are made: a source's name may have characters that these cannot. */
export function nameOfSource(schema: string, source: string): string {
  return `millrace_${hashOf(`${schema} ${source}`)}`
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}

/**
 * What captures changes, beside the tables that are followed. A change is a row that is gone once it is durable in the log. The
 * functions run with the rights of their owner, so whoever changes a followed table needs none here.
 */
function tablesText(schema: string): string {
  return `
create schema if not exists "${schema}";
create table "${schema}".source (
  name text collate "C" primary key,
  -- A source that is set up anew is another one: positions of the one before mean nothing in it.
  id uuid not null default gen_random_uuid(),
  table_id oid not null,
  capture text not null,
  -- By replication, what was committed before is among the rows that were read.
  read_until pg_lsn
);
create table "${schema}".change (
  sequence bigint generated always as identity primary key,
  source text collate "C" not null,
  kind text not null,
  at timestamptz not null default clock_timestamp(),
  before text,
  after text
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
create index change_of_source on "${schema}".change (source, sequence);
create function "${schema}".capture() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  insert into "${schema}".change (source, kind, before, after) values (
    tg_argv[0],
    case tg_op when 'INSERT' then 'inserted' when 'UPDATE' then 'updated' else 'deleted' end,
    case when tg_op <> 'INSERT' then row_to_json(old)::text end,
    case when tg_op <> 'DELETE' then row_to_json(new)::text end);
  return null;
end $$;
-- What is truncated is deleted, row by row.
create function "${schema}".capture_truncate() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  execute format('insert into "${schema}".change (source, kind, before) select %L, ''deleted'', row_to_json(t)::text from %s t',
    tg_argv[0], tg_relid::regclass);
  return null;
end $$;
create function "${schema}".tell() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('${schema}', tg_argv[0]);
  return null;
end $$;
-- Ends a source for good: for a source that the application has no more.
create function "${schema}".forget(name_of_source text) returns void language plpgsql as $$
declare
  followed record;
  named text := 'millrace_' || left(encode(sha256(convert_to('${schema} ' || name_of_source, 'UTF8')), 'hex'), 32);
begin
  select * into followed from "${schema}".source where name = name_of_source;
  if followed.capture = 'triggers' and exists (select 1 from pg_class where oid = followed.table_id) then
    execute format('drop trigger if exists %I on %s', named || '_row', followed.table_id::regclass);
    execute format('drop trigger if exists %I on %s', named || '_tell', followed.table_id::regclass);
    execute format('drop trigger if exists %I on %s', named || '_truncate', followed.table_id::regclass);
  end if;
  execute format('drop publication if exists %I', named);
  perform pg_drop_replication_slot(slot_name) from pg_replication_slots where slot_name = named;
  delete from "${schema}".change where source = name_of_source;
  delete from "${schema}".source where name = name_of_source;
end $$;
`
}

/** Makes the tables where they are not there. The transaction must be open, and hold {@link lockTables}. */
export async function prepareTables(connection: Connection, schema: string): Promise<void> {
  const [found] = await connection.rows('select to_regclass($1) is not null as present', [
    `"${schema}".change`,
  ])
  if (found?.present !== true) await connection.query(tablesText(schema))
}

/** Of those who make or change sources there is one at a time. Held until the session ends. */
export async function lockTables(connection: Connection, schema: string): Promise<void> {
  await connection.query('select pg_advisory_lock(hashtextextended($1, 13))', [schema])
}
