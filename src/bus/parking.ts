import type { Event } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { deadLetterStep } from './dead-letter.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { Lane } from './lanes.ts'
import {
  advanced,
  discarded,
  errorRecord,
  extended,
  type Failure,
  failed,
  isPending,
  type ParkedEntry,
  redriven,
} from './parked-entry.ts'
import type { ParkedKey, ParkedKeys } from './parked-keys.ts'
import type { Step } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import { replyEntries } from './replies.ts'
import { mayRetry, type RetryPolicy, retryDelayMs } from './retry.ts'
import type { SubscriptionTools } from './subscription-tools.ts'

/** What an attempt was about: one record of one key. */
export interface Subject {
  readonly topic: string
  readonly key: string
  readonly offset: Offset
}

/** How an attempt failed. */
export interface FailedAttempt {
  readonly subject: Subject
  /** Undefined when the record could not be read. */
  readonly event: Event | undefined
  readonly attempt: number
  readonly error: unknown
}

/**
 * Holds keys back and lets them go again. Every change is staged as one step: the entry of the key, the done marks of the
 * records that the entry holds from now on, and the effects or the dead letter that go with it.
 */
export class Parking {
  readonly #definition: HandlerDefinition
  readonly #keys: ParkedKeys
  readonly #retry: RetryPolicy
  readonly #tools: SubscriptionTools

  constructor(definition: HandlerDefinition, keys: ParkedKeys, retry: RetryPolicy, tools: SubscriptionTools) {
    this.#definition = definition
    this.#keys = keys
    this.#retry = retry
    this.#tools = tools
  }

  /**
   * Parks a key with all its waiting records, the first of which is running or, with a `failure`, has failed: they count as done
   * now, and the entry holds them instead. An attempt that is running then completes as one of the parked key.
   */
  park(
    records: readonly LogRecord[],
    { key, tracker, isRunning }: Pick<Lane, 'key' | 'tracker' | 'isRunning'>,
    failure?: FailedAttempt,
  ): void {
    const [head] = records
    const last = records.at(-1)
    if (head === undefined || last === undefined) throw new TypeError('park: there is no record to hold')
    const waiting: ParkedEntry = {
      first: head.offset,
      last: last.offset,
      count: records.length,
      attempt: 0,
      dueMs: this.#tools.runtime.now(),
      failures: [],
    }
    const { effects, entry = waiting } =
      failure === undefined ? { effects: {} } : this.#failed(waiting, failure)
    const parked = this.#keys.add({ topic: tracker.topic, key, entry }, isRunning)
    if (entry.dueMs !== null) this.#keys.keep(parked, records, true)
    const step = { ...effects, puts: [...(effects.puts ?? []), [parked.stateKey, entry] as const] }
    if (records.length === 1) this.#tools.state.stageDone(tracker, head.offset, step)
    else this.#tools.state.stage({ ...step, done: records.map(({ offset }) => ({ tracker, offset })) })
  }

  /** One more record of a parked key was read. */
  extend(parked: ParkedKey, record: LogRecord, tracker: CursorTracker): void {
    const { offset } = record
    const entry = extended(parked.entry, offset)
    const puts = entry === parked.entry ? [] : [this.#change(parked, entry)]
    if (puts.length > 0) this.#keys.keepNext(parked, record)
    this.#tools.state.stageDone(tracker, offset, { puts })
  }

  /** Commits effects together with a parked key's going on behind `offset`, or with its end. */
  advance(parked: ParkedKey, offset: Offset, effects: Step): void {
    const entry = advanced(parked.entry, offset, this.#tools.runtime.now())
    this.#tools.state.stage(this.#replaced(parked, entry, effects))
  }

  /** The record at the front of a parked key failed: it is tried again, or goes to the dead letters. */
  fail(parked: ParkedKey, failure: FailedAttempt): void {
    const { ahead } = parked
    // Many keys can wait for their next attempt: what they read ahead must not stay in memory.
    parked.ahead = []
    const { effects, entry } = this.#failed(parked.entry, failure)
    this.#tools.state.stage(this.#replaced(parked, entry, effects))
    if (entry === undefined || entry.dueMs === null || entry.redrive !== undefined) return
    const [front] = ahead
    // What was handed back has failed for good where it lies below what waits.
    if (front !== undefined && front.offset >= entry.first)
      this.#keys.keep(parked, ahead, ahead.at(-1)?.offset === entry.last)
  }

  /** What is to be committed for a failure, and what the entry comes to; undefined when it has nothing left to hold. */
  #failed(entry: ParkedEntry, failure: FailedAttempt): { effects: Step; entry: ParkedEntry | undefined } {
    const { runtime } = this.#tools
    const { attempt, error, subject } = failure
    if (mayRetry(this.#retry, attempt, error)) {
      const dueMs = runtime.now() + retryDelayMs(this.#retry, attempt, runtime)
      return { effects: {}, entry: failed(entry, subject.offset, this.#failureOf(failure), dueMs) }
    }
    const effects = this.deadLetter(failure, entry.failures)
    if (!this.holds) return { effects, entry: advanced(entry, subject.offset, runtime.now()) }
    return { effects, entry: failed(entry, subject.offset, this.#failureOf(failure), null) }
  }

  /** Hands a dead letter back: tried before anything of its key that waits. Gives what must be committed for it. */
  redrive(subject: Subject): Step {
    const { topic, key, offset } = subject
    const nothing: ParkedEntry = { first: offset, last: -1, count: 0, attempt: 0, dueMs: null, failures: [] }
    const parked = this.#keys.get(topic, key) ?? this.#keys.add({ topic, key, entry: nothing })
    parked.ahead = []
    return { puts: [this.#change(parked, redriven(parked.entry, offset, this.#tools.runtime.now()))] }
  }

  /** Whether a dead letter was handed back and is not done yet, or is what its key stands at. */
  isPending({ topic, key, offset }: Subject): boolean {
    const parked = this.#keys.get(topic, key)
    return parked !== undefined && isPending(parked.entry, offset)
  }

  /**
   * Gives up a dead letter for good: a key that is held goes on behind it. Gives what must be committed for it; undefined
   * while an attempt of its key is running, which may be for it.
   */
  discard({ topic, key, offset }: Subject): Step | undefined {
    const parked = this.#keys.get(topic, key)
    if (parked === undefined || !isPending(parked.entry, offset)) return {}
    if (parked.busy) return undefined
    parked.ahead = []
    const entry = discarded(parked.entry, offset, this.#tools.runtime.now())
    return this.#replaced(parked, entry, {})
  }

  /** What a dead letter adds to a step: it with the whole history of its record, and the reply to who waits for that. */
  deadLetter(failure: FailedAttempt, earlier: readonly Failure[]): Required<Pick<Step, 'puts' | 'appends'>> {
    const { partition, runtime, counts } = this.#tools
    const { subject, event, attempt: attempts, error } = failure
    counts.deadLettered += 1
    this.#tell(failure)
    const failures = attempts === 0 ? earlier : [...earlier, this.#failureOf(failure)]
    const cause = errorRecord(error)
    const letter = {
      handler: this.#definition.name,
      partition,
      ...subject,
      event,
      attempts,
      failures,
      error: cause,
    }
    const reply = { handler: this.#definition.name, outcome: 'dead-lettered' as const, error: cause }
    const { puts, appends } = deadLetterStep(this.#tools, letter, runtime)
    return { puts, appends: [...appends, ...replyEntries(event, reply, this.#tools)] }
  }

  /** Whether a key is held after its attempts are exhausted, until it is redriven. */
  get holds(): boolean {
    return this.#definition.options.whenExhausted === 'park'
  }

  /** Logs the first dead letter of a handler, the tenth, the hundredth: one cause can make very many. */
  #tell({ subject, attempt, error }: FailedAttempt): void {
    const { partition, counts, logger } = this.#tools
    const { topic, offset } = subject
    if (!/^10*$/.test(String(counts.deadLettered))) return
    const handler = this.#definition.name
    const facts = { handler, topic, partition, offset, attempts: attempt, deadLetters: counts.deadLettered }
    logger.warn({ err: error, ...facts }, 'A dead letter:')
  }

  #failureOf({ attempt, error }: FailedAttempt): Failure {
    return { attempt, atMs: this.#tools.runtime.now(), error: errorRecord(error) }
  }

  /** Effects together with the new entry of a key, or with its end. */
  #replaced(parked: ParkedKey, entry: ParkedEntry | undefined, effects: Step): Step {
    if (entry !== undefined)
      return { ...effects, puts: [...(effects.puts ?? []), this.#change(parked, entry)] }
    this.#keys.remove(parked)
    return { ...effects, deletes: [...(effects.deletes ?? []), parked.stateKey] }
  }

  #change(parked: ParkedKey, entry: ParkedEntry): readonly [string, ParkedEntry] {
    this.#keys.change(parked, entry)
    return [parked.stateKey, entry]
  }
}
