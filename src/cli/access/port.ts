import type { HandlersOverview } from '../../bus/status.ts'
import type { MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Appended, Bounds, Offset, Place } from '../../log/port.ts'

/** A record as the commands show it. */
export interface ShownRecord extends Place {
  readonly offset: Offset
  readonly event: Event
}

/** Some records of one place, and where to read on. */
export interface RecordPage {
  readonly records: readonly ShownRecord[]
  readonly next: Offset
}

/** A topic and the bounds of its partitions, in order of their numbers. */
export interface TopicView {
  readonly name: string
  readonly partitions: readonly (Bounds & { readonly partition: number })[]
}

/** What {@link LogAccess.follow} is asked for. */
export interface FollowRequest {
  /** These topics; all of the user unless given. */
  readonly topics: readonly string[] | undefined
  /** Patterns of event types; every type where there are none. */
  readonly types: readonly string[]
  /** A position in the log, behind which it begins; see `gateway/live/position.ts`. */
  readonly after: string
  /** Ends it. */
  readonly signal: AbortSignal
  readonly runtime: Runtime
  /** Told when the connection ends, once for each time; it connects again. */
  readonly onInterrupted: (error: MillraceError) => void
  /** Told when it is connected again. */
  readonly onResumed: () => void
}

/** A record, or why some cannot be given any more. */
export type Followed = { readonly record: ShownRecord } | { readonly skipped: MillraceError }

/**
 * How a command reaches a log: through the process that is running on it, or by opening it. Both answer alike; a refusal
 * is a `MillraceError` with the same code either way.
 */
export interface LogAccess {
  /** The URL of the process or of the log, for messages. */
  readonly location: string
  /** Whether a process is running on the log, so that handlers take what is appended. */
  readonly running: boolean
  /**
   * Appends events in one step, or none of them; resolves once they are durable. A refusal that concerns one event
   * carries its index in `facts.index` where that is known.
   */
  append(events: readonly Event[], topic: string | undefined): Promise<readonly Appended[]>
  /**
   * At most `limit` records of a place from an offset, or from the first that was appended at a time or later.
   * `OFFSET_TRIMMED` below its start.
   */
  read(at: Place, from: Offset | Date, limit: number): Promise<RecordPage>
  /** Gives records as they become durable, each once, until the signal aborts; then it ends and does not throw. */
  follow(request: FollowRequest): AsyncIterable<Followed>
  /** All topics, sorted by name, the internal ones too. */
  topics(): Promise<readonly TopicView[]>
  /** The handlers of the running application, over all of its processes; undefined where the log was opened without one. */
  handlers(): Promise<HandlersOverview | undefined>
  /** Copies the log as of now into a new folder, given by its whole path, on the machine of the log. */
  backup(folder: string): Promise<void>
  /** Lets go of the log. */
  close(): Promise<void>
}
