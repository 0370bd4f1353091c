import type { Event } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { PartitionState } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import type { RecordSink } from './record-sink.ts'
import { ownKey, type RekeyTools, rekeyedEntry } from './rekeying.ts'
import type { Subscription } from './subscription.ts'

/** After so many records that were only read past, the cursor is committed though nothing else is. */
const passedPerCommit = 4_096

/**
 * Hands the records of one topic on to a handler with a key of its own: in log order, each to the partition of its new key,
 * in the step that marks it done. So what has one new key and comes from one partition keeps its order. A record that has
 * no valid key goes there by the key of its topic, where it becomes a dead letter in its turn.
 */
export class RekeyingSink implements RecordSink {
  readonly types: ReadonlySet<string>
  readonly handler: string
  readonly #subscription: Subscription
  readonly #tracker: CursorTracker
  readonly #state: PartitionState
  readonly #tools: RekeyTools
  #keptAt: Offset

  constructor(subscription: Subscription, tracker: CursorTracker, state: PartitionState, tools: RekeyTools) {
    this.types = subscription.types
    this.handler = subscription.definition.name
    this.#subscription = subscription
    this.#tracker = tracker
    this.#state = state
    this.#tools = tools
    this.#keptAt = tracker.cursor
  }

  get read(): Offset {
    return this.#tracker.read
  }

  get isIdle(): boolean {
    return this.#tracker.undone === 0
  }

  /** Bounded: what was read must be in a commit before more is read. */
  hasRoom(): boolean {
    return this.#tracker.undone === 0
  }

  offer(record: LogRecord, event: Event): void {
    const { offset } = record
    if (this.#tracker.isRecovered(offset) || !this.#subscription.accepts(record, event)) return
    this.#tracker.add(offset)
    const { definition } = this.#subscription
    const silent = offset < (this.#tracker.silentUntil ?? 0)
    const addressed: Event = {
      ...event,
      millraceto: definition.name,
      ...(silent ? { millracesilent: true } : {}),
    }
    const appends = [rekeyedEntry(addressed, this.#keyOf(record, event), this.#tools)]
    this.#state.stage({ appends, done: [{ tracker: this.#tracker, offset }] })
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

  pump(): void {}

  /** Undefined when the event cannot be read, or has no valid key. */
  #keyOf(record: LogRecord, offered: Event): string | undefined {
    try {
      return record.event === offered ? ownKey(this.#subscription.definition, offered) : undefined
    } catch {
      return undefined
    }
  }
}
