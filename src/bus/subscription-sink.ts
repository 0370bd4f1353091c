import type { Event } from '../core/event.ts'
import type { Logger } from '../core/runtime.ts'
import type { Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { PartitionState, Step } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import type { RecordSink } from './record-sink.ts'
import type { Subscription } from './subscription.ts'

/** After so many records that were only read past, the cursor is committed though nothing else is. */
const passedPerCommit = 4_096

/** A subscription as the sink of one of its topics. */
export class SubscriptionSink implements RecordSink {
  readonly types: ReadonlySet<string>
  readonly handler: string
  readonly #subscription: Subscription
  readonly #tracker: CursorTracker
  readonly #state: PartitionState
  #keptAt: Offset

  constructor(subscription: Subscription, tracker: CursorTracker, state: PartitionState) {
    this.types = subscription.types
    this.handler = subscription.definition.name
    this.#subscription = subscription
    this.#tracker = tracker
    this.#state = state
    this.#keptAt = tracker.cursor
  }

  get read(): Offset {
    return this.#tracker.read
  }

  get isIdle(): boolean {
    return this.#tracker.undone === 0
  }

  hasRoom(): boolean {
    return this.#subscription.hasRoom(this.#tracker.topic)
  }

  offer(record: LogRecord, event: Event): void {
    this.#subscription.offer(record, event)
  }

  unreadable(offset: Offset, error: unknown): void {
    this.#subscription.unreadable(this.#tracker, offset, error)
  }

  advance(next: Offset): void {
    this.#tracker.advance(next)
    if (this.#tracker.undone > 0 || next - this.#keptAt < passedPerCommit) return
    this.#keptAt = next
    this.#state.stage({ moved: [this.#tracker] })
  }

  pump(): void {
    this.#subscription.pump()
  }
}

/** An internal record that is to be taken. */
export interface InternalRecord {
  readonly event: Event
  readonly record: LogRecord
  /** To be called exactly once, with the step that is committed together with the record's being done. */
  stage(step: Step): void
}

/** What internal records are taken with. */
export interface InternalSinkOptions {
  /** Takes what was read at once, in log order. Nothing more is read until all of it is committed. */
  take(records: readonly InternalRecord[]): Promise<void> | void
  readonly logger: Logger
  /** The partition cannot go on. */
  failed(error: unknown): void
}

/** Takes internal records: each becomes one step. */
export class InternalSink implements RecordSink {
  readonly types: ReadonlySet<string>
  readonly tracker: CursorTracker
  readonly #state: PartitionState
  readonly #options: InternalSinkOptions
  #offered: InternalRecord[] = []

  constructor(
    types: readonly string[],
    tracker: CursorTracker,
    state: PartitionState,
    options: InternalSinkOptions,
  ) {
    this.types = new Set(types)
    this.tracker = tracker
    this.#state = state
    this.#options = options
  }

  get read(): Offset {
    return this.tracker.read
  }

  get isIdle(): boolean {
    return this.tracker.undone === 0
  }

  /** Bounded: what was read must be in a commit before more is read. */
  hasRoom(): boolean {
    return this.tracker.undone === 0
  }

  offer(record: LogRecord, event: Event): void {
    if (this.tracker.isRecovered(record.offset)) return
    this.tracker.add(record.offset)
    const done = [{ tracker: this.tracker, offset: record.offset }]
    this.#offered.push({ event, record, stage: (step) => this.#state.stage({ ...step, done }) })
  }

  unreadable(offset: Offset, error: unknown): void {
    this.#options.logger.error(
      { err: error, topic: this.tracker.topic, offset },
      'an internal record is damaged and is passed over',
    )
  }

  advance(next: Offset): void {
    this.tracker.advance(next)
  }

  pump(): void {
    const offered = this.#offered
    this.#offered = []
    if (offered.length === 0) return
    const taken = this.#options.take(offered)
    taken?.catch((error: unknown) => this.#options.failed(error))
  }
}
