import type { DurationSummary } from './recent-durations.ts'

/** What one handler is doing in this process, over the partitions that it owns. */
export interface HandlerStatus {
  readonly name: string
  readonly kind: 'on' | 'every'
  readonly group: string
  readonly topics: readonly string[]
  /** The partitions owned here. */
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
  /** How long its last attempts took, to the millisecond; absent when there were none. */
  readonly durations?: DurationSummary
  /** Counted since this process started. */
  readonly counts: HandlerCounts
}

/** Counters of one handler since the process started. */
export interface HandlerCounts {
  handled: number
  attempts: number
  failures: number
  deadLettered: number
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
