import type { DurationSummary } from './recent-durations.ts'

/** What one handler is doing in one process, over the partitions that it owns, or in all of them. */
export interface HandlerStatus {
  readonly name: string
  readonly kind: 'on' | 'every'
  readonly group: string
  readonly topics: readonly string[]
  /** The partitions that are owned and at work. */
  readonly partitions: readonly number[]
  /** Records between its cursors and the ends of the log. */
  readonly lag: number
  /** Attempts that are running. */
  readonly inFlight: number
  /** Records read and waiting for their key. */
  readonly waiting: number
  /** Keys that are parked, and the records behind them. */
  readonly parked: {
    readonly keys: number
    readonly records: number
    readonly sample: readonly ParkedStatus[]
  }
  /** Whether it is paused because too much fails, and until when at least. */
  readonly paused: boolean
  /** Keys whose timed-out attempt has not ended: `HANDLER_STUCK`. */
  readonly stuck: readonly string[]
  /** How long its last attempts took, to the millisecond; of several processes the slowest. Absent when there were none. */
  readonly durations?: DurationSummary
  /** Counted since each process started. */
  readonly counts: HandlerCounts
}

/** Counters of one handler since the process started. */
export interface HandlerCounts {
  handled: number
  attempts: number
  failures: number
  deadLettered: number
}

/** What the handlers of a group are doing in one process. */
export interface GroupStatus {
  /** Names the process, for as long as it runs. */
  readonly process: string
  /** The partitions that it owns and that are at work. */
  readonly partitions: readonly number[]
  readonly handlers: readonly HandlerStatus[]
}

/** The partitions of a group that one process owns. */
export interface ProcessPart {
  /** Names the process, for as long as it runs. */
  readonly process: string
  readonly group: string
  readonly partitions: readonly number[]
}

/** What the handlers of an application are doing in all of its processes. */
export interface HandlersOverview {
  /** The process that put this together. */
  readonly process: string
  /** Each over all partitions that are answered for. */
  readonly handlers: readonly HandlerStatus[]
  /** Which process owns what, a row for each group; the process that was asked is there even where it owns nothing. */
  readonly processes: readonly ProcessPart[]
  /** The partitions whose owner did not answer in time: they are missing from the sums. Empty when this is all. */
  readonly unanswered: readonly { readonly group: string; readonly partition: number }[]
}

/** A parked key as it is shown. */
export interface ParkedStatus {
  readonly topic: string
  readonly key: string
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly count: number
  readonly attempt: number
  /** When it is tried again, in milliseconds since 1970 UTC; absent when it waits to be redriven. */
  readonly dueMs?: number
  readonly error: string
}
