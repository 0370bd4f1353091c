import type { Offset } from '../../src/log/port.ts'
import type { ToldAppend } from '../../src/testing/history.ts'
import type { TortureAppend, TortureEvent } from './app.ts'
import type { RecordPlace } from './journal.ts'

/** What a process that is to be killed is started with. */
export interface ProcessArguments {
  /** The URL of the log. */
  readonly log: string
  readonly journalFile: string
  readonly seed: number
  /** 1 for the first process of a round. */
  readonly incarnation: number
  /** Whether it is to tell where it has handled events. */
  readonly tells?: boolean
}

/** What its parent asks of it. */
export type Request =
  | { readonly publish: TortureEvent }
  /** Asks which version a stream has, for an append to it. */
  | { readonly lookUp: Pick<TortureAppend, 'append' | 'id'> }
  | { readonly append: TortureAppend }
  /** Hands back a dead letter that the number chooses, if any is open. */
  | { readonly redrive: number }
  | { readonly settle: true }
  /** Asks what it still has to do, when it was waited for in vain. */
  | { readonly outstanding: true }
  | { readonly stop: true }

/** What it answers. */
export type Answer =
  | { readonly ready: true }
  /** Without a place where it is only known to be durable. */
  | { readonly acknowledged: Partial<RecordPlace> & { readonly id: string } }
  | { readonly refused: { readonly id: string; readonly code: string } }
  | { readonly lookedUp: { readonly append: string; readonly version: number } }
  | { readonly appended: Pick<ToldAppend, 'append' | 'told'> }
  /** Nothing is known of an append, or of the version that was to be looked up for it. */
  | { readonly unanswered: { readonly append: string; readonly code: string } }
  | { readonly settled: Readonly<Record<string, Offset>> }
  /** For people. */
  | { readonly outstanding: string }
  | { readonly stopped: true }
  /** Events of these partitions are handled, and that is durable, at a time by the clock of `process.hrtime`. */
  | { readonly worked: { readonly partitions: readonly number[]; readonly atNs: number } }
  /** What must not happen, whatever the parent does. */
  | { readonly problem: string }
