import { existsSync, readFileSync, writeSync } from 'node:fs'
import type { Offset, Place } from '../../src/log/port.ts'
import type {
  Attempt,
  CommandDecision,
  EmitObservation,
  OnceObservation,
  ToldResult,
} from '../../src/testing/history.ts'
import { type AttemptStart, Recorder } from '../../src/testing/recorder.ts'

/** Where a record is. */
export type RecordPlace = Place & { readonly offset: Offset }

/** The ends of places, by `topic/partition`. */
export type Ends = Readonly<Record<string, Offset>>

/** What somebody was told of a command. */
export type Told = Omit<ToldResult, 'at'>

/** What a claim found committed, before it changed anything. */
export interface ClaimSeen {
  readonly group: string
  readonly partition: number
  /** Its cursors and the keys that are held back. */
  readonly rows: readonly (readonly [string, string])[]
  /** Where the places end that say of its partition what is finished. */
  readonly ends: Ends
}

/** One thing that a process saw, in the order in which it saw it. */
export type JournalLine =
  | { readonly claimed: ClaimSeen }
  /** Records that an append or a commit was told to be durable. */
  | { readonly appended: readonly RecordPlace[] }
  | { readonly begun: Attempt }
  | { readonly once: { readonly nonce: string; readonly observation: OnceObservation } }
  | {
      readonly ended: {
        readonly nonce: string
        readonly outcome: 'returned' | 'threw'
        readonly emits: readonly EmitObservation[]
        readonly decision?: CommandDecision
      }
    }
  /** A publisher that waited for the handlers of an event was told that they are done. */
  | { readonly handled: string; readonly ends: Ends }
  /** Somebody was told how a command was decided. */
  | { readonly told: Told; readonly ends: Ends }

/** A line with its time, by a clock that the processes of one machine have in common. */
export type TimedLine = JournalLine & { readonly atNs: number }

/** Writes lines into a file at once, so that what was written is there when the process is killed. */
export class Journal {
  readonly #file: number

  constructor(file: number) {
    this.#file = file
  }

  write(line: JournalLine): void {
    writeSync(this.#file, `${JSON.stringify({ atNs: Number(process.hrtime.bigint()), ...line })}\n`)
  }
}

/** The lines of a journal: none of a process that was killed before it began one. The kill may have cut the last one. */
export function readJournal(path: string): readonly TimedLine[] {
  if (!existsSync(path)) return []
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as TimedLine)
}

/** Writes down what handlers do, before anything can come of it. */
export class JournalRecorder extends Recorder {
  readonly #journal: Journal

  constructor(journal: Journal, noncePrefix: string) {
    super(noncePrefix)
    this.#journal = journal
  }

  override begin(start: AttemptStart): Attempt {
    const attempt = super.begin(start)
    this.#journal.write({ begun: attempt })
    return attempt
  }

  override givenOnce(attempt: Attempt, observation: OnceObservation): void {
    super.givenOnce(attempt, observation)
    this.#journal.write({ once: { nonce: attempt.nonce, observation } })
  }

  override end(attempt: Attempt, outcome: 'returned' | 'threw', why?: string): void {
    super.end(attempt, outcome, why)
    const { nonce, emits, decision } = attempt
    this.#journal.write({ ended: { nonce, outcome, emits, ...(decision === undefined ? {} : { decision }) } })
  }
}
