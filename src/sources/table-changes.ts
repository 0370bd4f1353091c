import type { OpenSource, SourceDefinition, SourceEvent } from '../bus/source.ts'
import type { MillraceError } from '../core/errors.ts'
import { checkTopicName, type EventType, event } from '../core/event.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import type { InputOf, OutputOf, Schema } from '../core/schema.ts'
import type { ChangeKind, RowChange, TableFeed } from '../log/table-feed.ts'
import {
  anyRow,
  type RefusedRowChange,
  type RowChangeData,
  refusedChange,
  rowChangeSchema,
} from './row-change-schema.ts'

/** Options of {@link tableChanges}. */
export interface TableChangesOptions<
  Name extends string,
  S extends Schema = Schema<Record<string, unknown>>,
> {
  /** Names the source, and its event types: `NAME.inserted` and so on. Dot-separated words. */
  readonly name: Name
  /** The table, with its schema unless that is on the search path: `public.orders`. It must have a primary key. */
  readonly table: string
  /** Validates a row; its output is what handlers see. Without it, rows are as they come. */
  readonly row?: S
  /** What is taken in first: all rows that are there, as `NAME.read`, or none. */
  readonly from: 'start' | 'now'
  /** The URL of the database: that of the log unless given. */
  readonly database?: string
  /** How the database tells of changes; `triggers` unless given. `replication` needs `wal_level = logical`. */
  readonly capture?: 'triggers' | 'replication'
  /** The topic of the events; the application's own unless given. */
  readonly topic?: string
}

const names = optionNames<TableChangesOptions<string>>({
  name: true,
  table: true,
  row: true,
  from: true,
  database: true,
  capture: true,
  topic: true,
})

/** A table whose changes are events: a source for an application, with the event types for its handlers. */
export interface TableChanges<Name extends string, Input, Output> extends SourceDefinition {
  readonly name: Name
  /** A row that was there when the source began. */
  readonly read: EventType<`${Name}.read`, RowChangeData<null, Input>, RowChangeData<null, Output>>
  readonly inserted: EventType<`${Name}.inserted`, RowChangeData<null, Input>, RowChangeData<null, Output>>
  readonly updated: EventType<`${Name}.updated`, RowChangeData<Input, Input>, RowChangeData<Output, Output>>
  readonly deleted: EventType<`${Name}.deleted`, RowChangeData<Input, null>, RowChangeData<Output, null>>
  /** A change that is none of these: its row does not match the schema, or is too large. It says why. */
  readonly refused: EventType<`${Name}.refused`, RefusedRowChange>
}

/**
 * Makes the changes of a PostgreSQL table events: `NAME.inserted`, `NAME.updated` and `NAME.deleted` with `{ before, after }`, keyed by
 * the primary key. Every change that is committed from the beginning on is one event, once, and those of a row are in the order
 * in which they were made, whoever makes them and whatever dies. List it under `sources` of the application. The log may be another
 * one than the database. Throws `TypeError` for options that cannot work; what the database refuses is logged while it is tried again.
 */
export function tableChanges<const Name extends string, S extends Schema = Schema<Record<string, unknown>>>(
  options: TableChangesOptions<Name, S>,
): TableChanges<Name, InputOf<S>, OutputOf<S>> {
  checkOptions(options)
  const { name, table, from, database, capture = 'triggers' } = options
  const row = (options.row ?? anyRow) as S
  const topic = options.topic === undefined ? {} : { topic: options.topic }
  const types = {
    read: event(`${name}.read`, { schema: rowChangeSchema(row, 'inserted'), ...topic }),
    inserted: event(`${name}.inserted`, { schema: rowChangeSchema(row, 'inserted'), ...topic }),
    updated: event(`${name}.updated`, { schema: rowChangeSchema(row, 'updated'), ...topic }),
    deleted: event(`${name}.deleted`, { schema: rowChangeSchema(row, 'deleted'), ...topic }),
    refused: event(`${name}.refused`, { schema: refusedChange, ...topic }),
  }
  return Object.freeze({
    ...types,
    name,
    events: Object.freeze(Object.values(types)),
    open: async ({ app, position, openTableFeed }) => {
      const feed = await openTableFeed({ name: `${app}/${name}`, table, from, database, capture, position })
      return openSource(feed, types as unknown as Types)
    },
  } satisfies SourceDefinition) as unknown as TableChanges<Name, InputOf<S>, OutputOf<S>>
}

type Types = Pick<TableChanges<string, unknown, unknown>, ChangeKind | 'refused'>

function openSource(feed: TableFeed, types: Types): OpenSource {
  return {
    next: async (signal) => {
      const { changes, position } = await feed.next(signal)
      return { events: changes.map((change) => eventOf(change, feed.origin, types)), position }
    },
    kept: (position) => feed.kept(position),
    close: () => feed.close(),
  }
}

function eventOf(change: RowChange, source: string, types: Types): SourceEvent {
  const { kind, id, key, before, after, timeMs, problem } = change
  const attributes = { id, source, partitionkey: key, time: new Date(timeMs).toISOString() }
  const refused = ({ code, message, where }: Pick<MillraceError, 'code' | 'message' | 'where'>) => {
    const rows = code === 'EVENT_TOO_LARGE' ? { before: null, after: null } : { before, after }
    const data = { kind, ...rows, error: { code, message, where } }
    // A key that cannot be one is left to the event's id.
    return {
      type: types.refused,
      data,
      attributes: code.startsWith('KEY_') ? withoutKey(attributes) : attributes,
    }
  }
  if (problem !== undefined) {
    return { ...refused({ code: 'DATA_INVALID', message: problem, where: undefined }), refused }
  }
  return { type: types[kind], data: { before, after }, attributes, refused }
}

function withoutKey({ partitionkey: _, ...attributes }: Readonly<Record<string, string>>) {
  return attributes
}

function checkOptions(options: TableChangesOptions<string, Schema>): void {
  checkTopicName(options?.name)
  const what = `tableChanges '${options.name}'`
  checkOptionNames(what, options, names)
  const { table, from, capture, database, topic, row } = options
  if (typeof table !== 'string' || table === '') throw new TypeError(`${what}: 'table' must name a table`)
  if (from !== 'start' && from !== 'now') throw new TypeError(`${what}: 'from' must be 'start' or 'now'`)
  if (capture !== undefined && capture !== 'triggers' && capture !== 'replication') {
    throw new TypeError(`${what}: 'capture' must be 'triggers' or 'replication'`)
  }
  if (database !== undefined && !/^postgres(ql)?:/.test(database)) {
    throw new TypeError(`${what}: 'database' must be a URL such as postgres://HOST/DATABASE`)
  }
  if (topic !== undefined) checkTopicName(topic)
  if (row !== undefined && typeof row?.['~standard']?.validate !== 'function') {
    throw new TypeError(`${what}: 'row' must be a Standard Schema validator, such as a zod schema`)
  }
}
