import type { Event } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import type { AttemptSubject } from './context.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { Lane } from './lanes.ts'
import type { FailedAttempt } from './parking.ts'
import type { LogRecord } from './record-cache.ts'
import type { KnownCells } from './state-cells.ts'

/** What an attempt is about beside its record. */
export interface RunOf {
  readonly key: string
  readonly tracker: CursorTracker | undefined
  readonly lane: Lane | undefined
  readonly attempt: number
  readonly redriven: boolean
}

/** What an attempt is about, and for the first attempt at a record the lane that it stands in. */
export class Run implements AttemptSubject {
  readonly definition: HandlerDefinition
  readonly event: Event
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly key: string
  readonly attempt: number
  readonly silent: boolean
  readonly redriven: boolean
  readonly lane: Lane | undefined
  readonly known: KnownCells | undefined
  readonly startedMs: number

  constructor(
    definition: HandlerDefinition,
    record: LogRecord,
    event: Event,
    { key, tracker, lane, attempt, redriven }: RunOf,
    startedMs: number,
  ) {
    this.definition = definition
    this.event = event
    this.topic = record.topic
    this.partition = record.partition
    this.offset = record.offset
    this.key = key
    this.attempt = attempt
    this.silent = record.offset < (tracker?.silentUntil ?? 0) || event.millracesilent === true
    this.redriven = redriven
    this.lane = lane
    this.known = lane?.inWork.known
    this.startedMs = startedMs
  }
}

/** How an attempt has failed. */
export function failureOf({ topic, key, offset, event, attempt }: Run, error: unknown): FailedAttempt {
  return { subject: { topic, key, offset }, event, attempt, error }
}
