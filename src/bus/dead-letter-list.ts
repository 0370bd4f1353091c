import type { Offset } from '../log/port.ts'
import type { DeadLetter } from './dead-letter.ts'

/** A dead letter that is open, as it is listed. */
export interface DeadLetterSummary {
  /** Names it in every call: `HANDLER/TOPIC/PARTITION/OFFSET`. */
  readonly id: string
  readonly handler: string
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly key: string
  /** The type of the event; absent when the record could not be read. */
  readonly type?: string
  readonly attempts: number
  /** When the handler gave up, in milliseconds since 1970 UTC. */
  readonly atMs: number
  readonly error: { readonly name: string; readonly code?: string; readonly message: string }
  /** Failures of one cause have the same; see `failureFingerprint`. */
  readonly fingerprint: string
}

/** A dead letter with all that is kept: its event, its error with the stack, its failed attempts with their times. */
export type ShownDeadLetter = DeadLetterSummary & Pick<DeadLetter, 'event' | 'error' | 'failures'>

/** Which open dead letters are meant: those that every given part selects. */
export interface DeadLetterSelection {
  /** The one of this id. */
  readonly id?: string
  readonly handler?: string
  /** A fingerprint. */
  readonly group?: string
}

/** Which page of them. */
export interface DeadLetterPage {
  /** 100 unless given, 1,000 at most. */
  readonly limit?: number
  /** `next` of the page before. */
  readonly from?: string
}

/** What was not looked at: a dead letter is in the state of its partition, for which its owner answers. */
export interface DeadLetterScope {
  /** The partitions whose owner did not answer in time; what is open there is left out. Empty when this is all. */
  readonly unanswered: readonly { readonly group: string; readonly partition: number }[]
}

/** A page of open dead letters. */
export interface DeadLetterList extends DeadLetterScope {
  readonly letters: readonly DeadLetterSummary[]
  /** Where the next page begins; absent at the end. */
  readonly next?: string
}

/** What was asked of the owners, who execute it in their time: what is still open after that is listed again. */
export interface DeadLettersAsked extends DeadLetterList {
  /** How many requests were appended; none in a dry run. */
  readonly asked: number
  readonly dryRun: boolean
  /** What came of it; present where that was waited for. */
  readonly outcome?: DeadLettersOutcome
}

/** What came of requests, by the ids of their dead letters; each is in one of these. */
export interface DeadLettersOutcome {
  /** Handled by the redrive, or discarded. */
  readonly closed: readonly string[]
  /** Tried again, and given up again: open, with the new error. */
  readonly failed: readonly string[]
  /** Passed over by the owner, each with the reason: open, or closed by somebody else. */
  readonly passedOver: readonly { readonly id: string; readonly reason: string }[]
  /** Not known when the time was over: asked, and perhaps being tried. */
  readonly unsettled: readonly string[]
}

/** Whether to wait until the owners have done what they are asked. */
export interface DeadLetterWait {
  /** Resolves only once that is known of every dead letter, or `waitTimeoutMs` is over. */
  readonly wait?: boolean
  /** 30 s unless given. */
  readonly waitTimeoutMs?: number
}

/** Options of `redrive`. */
export interface RedriveOptions extends DeadLetterPage, DeadLetterWait {
  /** Only says which dead letters these would be. */
  readonly dryRun?: boolean
}

/** Options of `discard`. */
export interface DiscardOptions extends RedriveOptions {
  /** Why they are given up: it stays in the log. */
  readonly reason: string
}

/** The open dead letters of one cause. */
export interface DeadLetterGroup {
  readonly fingerprint: string
  readonly handler: string
  readonly error: DeadLetterSummary['error']
  readonly count: number
  /** When the handler first and last gave up, in milliseconds since 1970 UTC. */
  readonly firstMs: number
  readonly lastMs: number
  /** The id of the latest. */
  readonly latest: string
}
