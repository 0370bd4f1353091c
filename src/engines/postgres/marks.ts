import { importUnfinished, logMoved, type Move } from '../../log/moving.ts'
import type { Connection } from './connection.ts'
import { movedCode } from './failures.ts'

/** What a log notes of moves. A log that was never moved has no such table. */
export const createMoveText = 'create table if not exists move (name text primary key, value text not null)'

/** Where a log is moved to, and where it came from. */
export interface Marks {
  readonly to?: Move
  readonly from?: Move
}

/** Every write of the log changes one of these. */
const fencedTables = ['claim', 'topic', 'place', 'state', 'member', 'outbox']

/** Reads the marks of the log in the schema of the connection. */
export async function readMarks(connection: Connection): Promise<Marks> {
  const [found] = await connection.rows("select to_regclass('move') is not null as present")
  if (found?.present !== true) return {}
  const rows = await connection.rows("select name, value from move where name in ('to', 'from')")
  return Object.fromEntries(rows.map(({ name, value }) => [name, JSON.parse(String(value)) as Move]))
}

/** Throws `LOG_MOVED` or `IMPORT_UNFINISHED` where a log is not to be used. */
export function checkUsable({ to, from }: Marks, where: string): void {
  if (to !== undefined) throw logMoved(where, to)
  if (from?.finished === false) throw importUnfinished(where, from)
}

/** Notes something of a move. */
export async function note(connection: Connection, name: string, value: unknown): Promise<void> {
  const text =
    'insert into move (name, value) values ($1, $2) on conflict (name) do update set value = excluded.value'
  await connection.query(text, [name, JSON.stringify(value)])
}

/**
 * Refuses every write from when this transaction is committed, by triggers, so that the writes of a log that is not moved are none the
 * slower. Making one waits for the transactions that are writing.
 */
export async function fence(connection: Connection, mark: Move): Promise<void> {
  await connection.query(createMoveText)
  await note(connection, 'to', mark)
  await connection.query(`create or replace function refuse_moved() returns trigger language plpgsql
    security definer set search_path from current as $$
    begin
      raise exception using errcode = '${movedCode}', message = (select value from move where name = 'to');
    end $$`)
  for (const table of await tablesPresent(connection)) {
    await connection.query(`drop trigger if exists moved on ${table}`)
    await connection.query(`create trigger moved before insert or update or delete on ${table}
      for each statement execute function refuse_moved()`)
  }
}

/** Lets the log take writes again. */
export async function unfence(connection: Connection): Promise<void> {
  for (const table of await tablesPresent(connection)) {
    await connection.query(`drop trigger if exists moved on ${table}`)
  }
  await connection.query('drop function if exists refuse_moved()')
  const [found] = await connection.rows("select to_regclass('move') is not null as present")
  if (found?.present === true) await connection.query("delete from move where name = 'to'")
}

async function tablesPresent(connection: Connection): Promise<readonly string[]> {
  const rows = await connection.rows(
    'select name from unnest($1::text[]) with ordinality as t (name, nth) where to_regclass(name) is not null order by nth',
    [fencedTables],
  )
  return rows.map(({ name }) => String(name))
}
