import type { Event } from '../core/event.ts'
import { encodeEvent } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Entry, Offset, Place } from '../log/port.ts'
import type { DeadLetterGroup } from './dead-letter-list.ts'
import type { RedriveRequest } from './dead-letter-requests.ts'
import type { ErrorRecord } from './parked-entry.ts'
import type { StoredResult } from './results.ts'
import type { GroupStatus } from './status.ts'

/** A partition of one group of handlers: whose owner is asked. */
export interface Owned {
  readonly group: string
  readonly partition: number
}

/** A row of a partition's state. */
export interface StateRow {
  readonly key: string
  /** JSON. */
  readonly text: string
}

/** How a command stands with the owner of its partition. */
export type ResultAnswer =
  | { readonly status: 'unknown' }
  | { readonly status: 'pending' }
  | { readonly status: 'stored'; readonly stored: StoredResult }
  | {
      readonly status: 'dead-lettered'
      readonly command: string
      readonly handler: string
      readonly error: ErrorRecord
    }

/** A dead letter that was handed back is handled, has failed again, is still to be tried, or was not tried at all. */
export type RedrivenState = 'closed' | 'failed' | 'trying' | 'open'

/** What the owner of a partition can be asked, by kind, each with its answer. Both are JSON, and the answer is bounded. */
export interface Queries {
  /** The cells of a handler's state for a key, as they were last committed. */
  readonly cells: {
    readonly query: { readonly handler: string; readonly key: string; readonly cells: readonly string[] }
    /** JSON texts in the order of the cells; null for one that is not set. */
    readonly answer: readonly (string | null)[]
  }
  readonly result: {
    readonly query: { readonly topic: string; readonly offset: Offset }
    readonly answer: ResultAnswer
  }
  /** A page of open dead letters, behind a key. */
  readonly 'dead-letters': {
    readonly query: {
      readonly handler: string | undefined
      readonly after: string | undefined
      readonly limit: number
    }
    readonly answer: readonly StateRow[]
  }
  readonly 'dead-letter-groups': {
    readonly query: { readonly handler: string | undefined }
    readonly answer: readonly DeadLetterGroup[]
  }
  readonly 'dead-letter': {
    readonly query: { readonly handler: string; readonly topic: string; readonly offset: Offset }
    /** Null when it is not open. */
    readonly answer: StateRow | null
  }
  /** What all handlers of the group are doing in the process that owns the partition, over all that it owns. */
  readonly handlers: {
    readonly query: object
    readonly answer: GroupStatus
  }
  /** What has become of dead letters that were handed back, each with the id of the event that it had. */
  readonly redriven: {
    readonly query: { readonly letters: readonly (RedriveRequest & { readonly eventId: string })[] }
    readonly answer: readonly RedrivenState[]
  }
}

/** The kinds of queries. */
export type QueryKind = keyof Queries

/** A query of one kind. */
export type Query<Kind extends QueryKind = QueryKind> = {
  [Each in Kind]: { readonly kind: Each } & Queries[Each]['query']
}[Kind]

/** The value of the reply to a query. */
export type QueryReply =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly message: string }

/** The event type of a query. */
export const queryType = 'millrace.query'

/** Who answers queries, where replies name a handler. */
export const queriesHandler = '$queries'

/** The entry that asks the owner of a place. */
export function queryEntry(
  at: Place,
  query: Query,
  {
    source,
    runtime,
    replyTo,
  }: { readonly source: string; readonly runtime: Runtime; readonly replyTo: string },
): Entry {
  const timeMs = runtime.now()
  const event: Event = {
    specversion: '1.0',
    id: runtime.id(),
    source,
    type: queryType,
    time: new Date(timeMs).toISOString(),
    millracereplyto: replyTo,
    data: query,
  }
  return { ...at, value: encodeEvent(event), timeMs }
}
