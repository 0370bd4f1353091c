import { MillraceError } from '../../../core/errors.ts'
import type { ChangeKind, Row, RowChange } from '../../../log/table-feed.ts'
import type { Connection } from '../connection.ts'
import { isExact, rowOfJson } from './row-values.ts'

/** A table whose changes are followed, as the catalog has it. */
export class FollowedTable {
  readonly id: number
  /** Its name with its schema, quoted where that is needed. */
  readonly name: string
  readonly #keyColumns: readonly string[]
  readonly #exact: ReadonlySet<string>

  private constructor(id: number, name: string, keyColumns: readonly string[], exact: ReadonlySet<string>) {
    this.id = id
    this.name = name
    this.#keyColumns = keyColumns
    this.#exact = exact
  }

  /** Looks it up. `SOURCE_INVALID` where it is not there, or has no primary key. */
  static async find(connection: Connection, named: string): Promise<FollowedTable> {
    const rows = await connection.rows(
      `select c.oid::integer as id, n.nspname as schema, c.relname as name, format('%I.%I', n.nspname, c.relname) as quoted,
         a.attname as column, a.atttypid::integer as type, array_position(i.indkey::smallint[], a.attnum) as nth
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
       join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
       left join pg_index i on i.indrelid = c.oid and i.indisprimary
       where c.oid = to_regclass($1) and c.relkind in ('r', 'p') order by a.attnum`,
      [named],
    )
    const [first] = rows
    if (first === undefined)
      throw tableInvalid(named, 'There is no such table', 'Create it, or name it with its schema.')
    const keys = rows
      .filter(({ nth }) => nth !== null)
      .toSorted((left, right) => Number(left.nth) - Number(right.nth))
    if (keys.length === 0) {
      throw tableInvalid(named, 'It has no primary key', 'Give it one: order is kept by it.')
    }
    const exact = rows.filter(({ type }) => isExact(Number(type))).map(({ column }) => String(column))
    return new FollowedTable(
      Number(first.id),
      String(first.quoted),
      keys.map(({ column }) => String(column)),
      new Set(exact),
    )
  }

  /** A row from what the server wrote of it as JSON. */
  parse(text: unknown): Row | null {
    return typeof text === 'string' ? rowOfJson(text, this.#exact) : null
  }

  /** The key of a row: the text of its column, or a JSON array of those of several. */
  keyOf(row: Row): string {
    const parts = this.#keyColumns.map((column) => textOf(row[column]))
    return parts.length === 1 ? (parts[0] ?? '') : JSON.stringify(parts)
  }

  /** The changes that a change is: one whose key has changed as well is a row that is gone and another that is new. */
  changesOf(
    change: { readonly kind: ChangeKind; readonly before: Row | null; readonly after: Row | null },
    made: { readonly id: string; readonly timeMs: number },
  ): RowChange[] {
    const { kind, before, after } = change
    const [from, to] = [before, after].map((row) => (row === null ? undefined : this.keyOf(row)))
    if (kind === 'updated' && from !== undefined && to !== undefined && from !== to) {
      return [
        { ...made, id: `${made.id}-deleted`, kind: 'deleted', key: from, before, after: null },
        { ...made, id: `${made.id}-inserted`, kind: 'inserted', key: to, before: null, after },
      ]
    }
    return [{ ...made, kind, key: to ?? from ?? '', before, after }]
  }
}

function textOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

/** A table cannot be followed. */
export function tableInvalid(table: string, why: string, fix: string, cause?: unknown): MillraceError {
  return new MillraceError('SOURCE_INVALID', `Table '${table}' cannot be followed: ${why}.`, {
    where: table,
    fix,
    cause,
  })
}
