import type { Event } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import type { LogRecord } from './record-cache.ts'

/** Takes the records of one topic and partition, in order. */
export interface RecordSink {
  /** Where it stands: everything below has been read for it. */
  readonly read: Offset
  /** The event types that it is offered. */
  readonly types: ReadonlySet<string>
  /** The handler whose filter says which of them; undefined where none does. */
  readonly handler?: string
  /** Everything that it has taken is done: what it does not want may pass it without its being asked for room. */
  readonly isIdle: boolean
  hasRoom(): boolean
  offer(record: LogRecord, event: Event): void
  /** A record that nobody can read. */
  unreadable(offset: Offset, error: unknown): void
  /** Everything below `next` has been read for it. */
  advance(next: Offset): void
  /** Starts work on what was offered. */
  pump(): void
}
