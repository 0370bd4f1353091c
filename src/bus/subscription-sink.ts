import type { Event } from '../core/event.ts'
import type { Logger } from '../core/runtime.ts'
import type { Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { PartitionState, Step } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import type { Subscription } from './subscription.ts'
import type { RecordSink } from './topic-reader.ts'

/** After so many records that were only read past, the cursor is committed though nothing else is. */
const passedPerCommit = 4_096

/** A subscription as the sink of one of its topics. */
export class SubscriptionSink implements RecordSink {
  readonly types: ReadonlySet<string>
  readonly #subscription: Subscription
  readonly #tracker: CursorTracker
  readonly #state: PartitionState
  #keptAt: Offset

  constructor(subscription: Subscription, tracker: CursorTracker, state: PartitionState) {
    this.types = subscription.types
    this.#subscription = subscription
    this.#tracker = tracker
    this.#state = state
    this.#keptAt = tracker.cursor
  }

  get read(): Offset {
    return this.#tracker.read
  }

  hasRoom(): boolean {
    return this.#subscription.hasRoom(this.#tracker.topic)
  }

  offer(record: LogRecord, event: Event): void {
    this.#subscription.offer(record, event)
  }

  unreadable(offset: Offset, error: unknown): void {
    this.#subscription.unreadable(this.#tracker.topic, offset, error)
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

/** Takes internal records: each becomes one step, committed together with its being done. */
export class InternalSink implements RecordSink {
  readonly types: ReadonlySet<string>
  readonly tracker: CursorTracker
  readonly #state: PartitionState
  readonly #stepOf: (event: Event, record: LogRecord) => Step
  readonly #logger: Logger

  constructor(
    type: string,
    tracker: CursorTracker,
    state: PartitionState,
    options: { readonly stepOf: (event: Event, record: LogRecord) => Step; readonly logger: Logger },
  ) {
    this.types = new Set([type])
    this.tracker = tracker
    this.#state = state
    this.#stepOf = options.stepOf
    this.#logger = options.logger
  }

  get read(): Offset {
    return this.tracker.read
  }

  /** Bounded: what was read must be in a commit before more is read. */
  hasRoom(): boolean {
    return this.tracker.undone === 0
  }

  offer(record: LogRecord, event: Event): void {
    if (this.tracker.isRecovered(record.offset)) return
    this.tracker.add(record.offset)
    this.#state.stage({
      ...this.#stepOf(event, record),
      done: [{ tracker: this.tracker, offset: record.offset }],
    })
  }

  unreadable(offset: Offset, error: unknown): void {
    this.#logger.error(
      { err: error, topic: this.tracker.topic, offset },
      'an internal record is damaged and is passed over',
    )
  }

  advance(next: Offset): void {
    this.tracker.advance(next)
  }

  pump(): void {}
}
