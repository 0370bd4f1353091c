import { isMillraceError, MillraceError } from '../core/errors.ts'
import { type Event, keyOf } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import { type Outcome, runAttempt } from './attempt.ts'
import type { AttemptTools } from './context.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { deadLetterEntry } from './dead-letter.ts'
import type { HandlerDefinition, Tick } from './definitions.ts'
import { nextOf } from './drain.ts'
import { FailureWatch } from './failure-watch.ts'
import {
  advanced,
  errorRecord,
  extended,
  type Failure,
  failed,
  type ParkedEntry,
  redriven,
} from './parked-entry.ts'
import { laneName, maxParkedKeys, type ParkedKey, type ParkedKeys } from './parked-keys.ts'
import type { Step } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import { isTerminal, mayRetry, type RetryPolicy, retryDelayMs, retryPolicy } from './retry.ts'
import { tickType } from './schedule.ts'
import { stateLayout } from './state-layout.ts'
import type { HandlerCounts } from './status.ts'

/** What a subscription works with. */
export interface SubscriptionTools extends AttemptTools {
  readonly partition: number
  readonly deadLetters: string
  readonly source: string
  readonly hopLimit: number
  /** Aborts running attempts: the claim is lost, or stopping has waited long enough. */
  readonly stop: AbortSignal
  readonly counts: HandlerCounts
  /** Reads records of a topic for a drain. */
  readForDrain(
    topic: string,
    from: Offset,
  ): Promise<{ readonly records: readonly LogRecord[]; readonly next: Offset }>
  /** Something has ended: there may be room to read, or a new time to wait for. */
  changed(): void
  /** The partition cannot go on. */
  failed(error: unknown): void
}

/** The records of one key of one topic that wait, the first of them perhaps running. */
interface Lane {
  readonly topic: string
  readonly key: string
  readonly records: LogRecord[]
  running: boolean
}

/** The bounds of what one subscription holds of one partition. */
export const windowBounds = { records: 8_192, bytes: 16 * 1024 * 1024, perKey: 256 } as const

/** One handler's part in one partition: its cursors, the keys in work and the keys that are parked. */
export class Subscription {
  readonly definition: HandlerDefinition
  readonly trackers: ReadonlyMap<string, CursorTracker>
  readonly parked: ParkedKeys
  readonly #tools: SubscriptionTools
  readonly #retry: RetryPolicy
  readonly #watch: FailureWatch
  readonly #types: ReadonlySet<string>
  readonly #lanes = new Map<string, Lane>()
  readonly #ready: Lane[] = []
  /** Keys in work and what waits for them: a handler has one state for a key, whatever the topic. */
  readonly #busyKeys = new Map<string, (() => void)[]>()
  readonly #stuck = new Set<string>()
  readonly #concurrency: number
  #inFlight = 0
  #bytes = 0
  #closed = false

  constructor(
    definition: HandlerDefinition,
    trackers: ReadonlyMap<string, CursorTracker>,
    parked: ParkedKeys,
    tools: SubscriptionTools,
  ) {
    this.definition = definition
    this.trackers = trackers
    this.parked = parked
    this.#tools = tools
    this.#retry = retryPolicy(definition.options.retry)
    this.#watch = new FailureWatch(tools.runtime)
    this.#types = new Set(
      definition.kind === 'every' ? [tickType] : definition.events.map(({ type }) => type),
    )
    this.#concurrency = definition.options.concurrency ?? 256
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Records that are read and wait for their key, the running ones not among them. */
  get waiting(): number {
    let waiting = 0
    for (const lane of this.#lanes.values()) waiting += lane.records.length - (lane.running ? 1 : 0)
    return waiting
  }

  /** Keys whose timed-out attempt has not ended. */
  get stuck(): readonly string[] {
    return [...this.#stuck]
  }

  get paused(): boolean {
    return this.#watch.pausedUntilMs !== undefined || this.parked.size >= maxParkedKeys
  }

  /** The types of the events that {@link offer} is to be called with. */
  get types(): ReadonlySet<string> {
    return this.#types
  }

  /** Whether more of a topic may be read for it now. Frees room held by one slow key by parking that key. */
  hasRoom(topic: string): boolean {
    const tracker = this.trackers.get(topic)
    if (tracker === undefined || this.#closed || this.parked.size >= maxParkedKeys) return false
    if (this.#watch.pausedUntilMs !== undefined && this.#canProbe()) return false
    if (this.#bytes >= windowBounds.bytes) return false
    if (tracker.read - tracker.cursor < windowBounds.records) return true
    this.#parkSlowest(tracker)
    return false
  }

  /** Takes a record that was read; records of a topic come in order. One that it does not want counts as read. */
  offer(record: LogRecord, event: Event): void {
    const tracker = this.trackers.get(record.topic)
    if (tracker === undefined || !this.#wants(event) || tracker.isRecovered(record.offset)) return
    tracker.add(record.offset)
    const key = keyOf(event)
    const name = laneName(record.topic, key)
    const parked = this.parked.get(name)
    if (parked !== undefined) return this.#extend(parked, record.offset, tracker)
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { topic: record.topic, key, records: [], running: false }
      this.#lanes.set(name, lane)
      this.#ready.push(lane)
    }
    lane.records.push(record)
    this.#bytes += record.bytes
    if (lane.records.length > windowBounds.perKey) this.#park(lane, undefined)
  }

  /** Takes note of a record that nobody can read: it goes to the dead letters. */
  unreadable(topic: string, offset: Offset, error: unknown): void {
    const tracker = this.trackers.get(topic)
    if (tracker === undefined || tracker.isRecovered(offset)) return
    tracker.add(offset)
    const appends = [this.#deadLetter({ topic, key: '', offset }, undefined, [], error)]
    this.#tools.state.stage({ appends, done: [{ tracker, offset }] })
  }

  /** Hands a dead letter back: tried before anything of its key that waits. Gives what must be committed for it. */
  redrive(topic: string, key: string, offset: Offset): Step {
    const name = laneName(topic, key)
    const lane = this.#lanes.get(name)
    if (lane !== undefined) this.#park(lane, undefined)
    const nothing: ParkedEntry = { first: offset, last: -1, count: 0, attempt: 0, dueMs: null, failures: [] }
    const parked = this.parked.get(name) ?? { topic, key, entry: nothing, busy: false, ahead: [] }
    parked.ahead = []
    return { puts: [this.#changeEntry(parked, redriven(parked.entry, offset, this.#tools.runtime.now()))] }
  }

  /** When {@link pump} has something to do that only time brings. */
  nextDueMs(): number | undefined {
    const dueMs = this.parked.nextDueMs()
    const pausedUntilMs = this.#watch.pausedUntilMs
    if (pausedUntilMs === undefined) return dueMs
    return this.#canProbe() ? pausedUntilMs : undefined
  }

  /** Starts whatever may run now. */
  pump(): void {
    while (!this.#closed && this.#inFlight < this.#slots()) {
      const parked = this.parked.takeDue(
        this.#watch.pausedUntilMs === undefined ? this.#tools.runtime.now() : Infinity,
      )
      if (parked !== undefined) this.#startParked(parked)
      else if (this.#ready.length > 0) this.#startLane(this.#ready.shift() as Lane)
      else return
    }
  }

  /** Starts nothing more. */
  close(): void {
    this.#closed = true
  }

  /** How many attempts may run: while paused, one that probes, and only when its time has come. */
  #slots(): number {
    const pausedUntilMs = this.#watch.pausedUntilMs
    if (pausedUntilMs === undefined) return this.#concurrency
    return this.#tools.runtime.now() >= pausedUntilMs ? 1 : 0
  }

  #canProbe(): boolean {
    return this.#inFlight > 0 || this.#ready.length > 0 || this.parked.nextDueMs() !== undefined
  }

  #wants(event: Event): boolean {
    if (this.definition.kind === 'every') return (event.data as Tick).name === this.definition.name
    return this.#types.has(event.type)
  }

  #startLane(lane: Lane): void {
    const record = lane.records[0]
    const isCurrent = this.#lanes.get(laneName(lane.topic, lane.key)) === lane
    if (record === undefined || !isCurrent || lane.running) return
    if (this.#waitForKey(lane.key, () => this.#ready.push(lane))) return
    lane.running = true
    this.#inFlight += 1
    this.#tools.runtime.spawn(`handler ${this.definition.name}`, async () => {
      const subject = { topic: lane.topic, key: lane.key, offset: record.offset }
      const outcome = await this.#attempt(subject, record.event, 1, false)
      this.#complete(subject, record.event, 1, outcome)
    })
  }

  #startParked(parked: ParkedKey): void {
    if (this.#waitForKey(parked.key, () => this.parked.wait(parked))) return
    parked.busy = true
    this.#inFlight += 1
    this.#tools.runtime.spawn(`handler ${this.definition.name}`, async () => {
      try {
        const record = await nextOf(parked, this.#tools.readForDrain, (event) => this.#wants(event))
        if (record === undefined) return this.#nothingLeft(parked)
        const subject = { topic: parked.topic, key: parked.key, offset: record.offset }
        const attempt = parked.entry.attempt + 1
        const isRedriven = parked.entry.redrive?.[0] === record.offset
        const outcome = await this.#attempt(subject, record.event, attempt, isRedriven)
        this.#complete(subject, record.event, attempt, outcome)
      } catch (error) {
        this.#drainFailed(parked, error)
      }
    })
  }

  async #attempt(subject: Subject, event: Event, attempt: number, isRedriven: boolean): Promise<Outcome> {
    const { counts, hopLimit, partition, stop } = this.#tools
    counts.attempts += 1
    if ((event.hops ?? 0) > hopLimit) return { kind: 'failed', error: loopError(event, hopLimit) }
    const silentUntil = this.trackers.get(subject.topic)?.silentUntil ?? 0
    return runAttempt(
      {
        ...subject,
        definition: this.definition,
        event,
        partition,
        attempt,
        silent: subject.offset < silentUntil,
        redriven: isRedriven,
      },
      this.#tools,
      { timeoutMs: this.definition.options.timeoutMs ?? 30_000, stop },
    )
  }

  #complete(subject: Subject, event: Event, attempt: number, outcome: Outcome): void {
    const settled = outcome.kind === 'failed' ? outcome.settled : undefined
    if (outcome.kind !== 'aborted') {
      const parked = this.parked.get(laneName(subject.topic, subject.key))
      this.#count(attempt, outcome)
      if (parked === undefined) this.#completeLane(subject, event, attempt, outcome)
      else this.#completeParked(parked, subject, event, attempt, outcome)
    }
    if (settled === undefined) this.#release(subject)
    else this.#awaitSettled(subject, settled)
  }

  /** The first attempts tell whether the handler works at all; a repeated or a terminal failure is its event's own. */
  #count(attempt: number, outcome: Outcome): void {
    if (outcome.kind === 'succeeded') this.#tools.counts.handled += 1
    else this.#tools.counts.failures += 1
    const works = outcome.kind !== 'failed' || isTerminal(outcome.error)
    if (attempt === 1 || this.#watch.pausedUntilMs !== undefined) this.#watch.record(works)
  }

  #completeLane(subject: Subject, event: Event, attempt: number, outcome: Outcome): void {
    const name = laneName(subject.topic, subject.key)
    const lane = this.#lanes.get(name)
    const tracker = this.trackers.get(subject.topic)
    if (lane === undefined || tracker === undefined || outcome.kind === 'aborted') return
    const done = [{ tracker, offset: subject.offset }]
    if (outcome.kind === 'failed') {
      const failure = this.#failure(attempt, outcome.error)
      if (mayRetry(this.#retry, attempt, outcome.error) || outcome.settled !== undefined || this.#holds()) {
        return this.#park(lane, { failure, error: outcome.error, event })
      }
      this.#tools.state.stage({ appends: [this.#deadLetter(subject, event, [failure], outcome.error)], done })
    } else {
      this.#tools.state.stage({ ...outcome.effects, done })
    }
    this.#bytes -= lane.records.shift()?.bytes ?? 0
    lane.running = false
    if (lane.records.length > 0) this.#ready.push(lane)
    else this.#lanes.delete(name)
  }

  #completeParked(
    parked: ParkedKey,
    subject: Subject,
    event: Event,
    attempt: number,
    outcome: Outcome,
  ): void {
    if (outcome.kind === 'succeeded') return this.#advance(parked, subject.offset, outcome.effects)
    if (outcome.kind === 'failed')
      this.#failParked(parked, subject, event, this.#failure(attempt, outcome.error), outcome.error)
  }

  /** Takes note of a failure of the record at the front of a parked key: another attempt, or the dead letters. */
  #failParked(
    parked: ParkedKey,
    subject: Subject,
    event: Event | undefined,
    failure: Failure,
    error: unknown,
  ): void {
    const { runtime, state } = this.#tools
    if (mayRetry(this.#retry, failure.attempt, error)) {
      const dueMs = runtime.now() + retryDelayMs(this.#retry, failure.attempt, runtime)
      return state.stage({
        puts: [this.#changeEntry(parked, failed(parked.entry, subject.offset, failure, dueMs))],
      })
    }
    const failures = [...parked.entry.failures, failure]
    const appends = [this.#deadLetter(subject, event, failures, error)]
    if (!this.#holds()) return this.#advance(parked, subject.offset, { puts: [], deletes: [], appends })
    state.stage({
      puts: [this.#changeEntry(parked, failed(parked.entry, subject.offset, failure, null))],
      appends,
    })
  }

  /** Commits effects together with a parked key's going on behind `offset`, or with its end. */
  #advance(parked: ParkedKey, offset: Offset, effects: Step): void {
    const entry = advanced(parked.entry, offset, this.#tools.runtime.now())
    if (entry !== undefined) {
      this.#tools.state.stage({
        ...effects,
        puts: [...(effects.puts ?? []), this.#changeEntry(parked, entry)],
      })
      return
    }
    this.parked.remove(parked)
    const key = stateLayout.parked(this.definition.name, parked.topic, parked.key)
    this.#tools.state.stage({ ...effects, deletes: [...(effects.deletes ?? []), key] })
  }

  /**
   * Parks a key with all its records, a running one included: they count as done now, and the entry holds them instead.
   * The attempt that is running then completes as one of the parked key.
   */
  #park(lane: Lane, failedAttempt: { failure: Failure; error: unknown; event: Event } | undefined): void {
    const { state, runtime } = this.#tools
    const [head] = lane.records
    const tracker = this.trackers.get(lane.topic)
    const last = lane.records.at(-1)
    if (head === undefined || last === undefined || tracker === undefined) return
    const entry: ParkedEntry = {
      first: head.offset,
      last: last.offset,
      count: lane.records.length,
      attempt: 0,
      dueMs: runtime.now(),
      failures: [],
    }
    const parked: ParkedKey = {
      topic: lane.topic,
      key: lane.key,
      entry,
      busy: lane.running,
      ahead: [...lane.records],
    }
    const done = lane.records.map(({ offset }) => ({ tracker, offset }))
    this.#lanes.delete(laneName(lane.topic, lane.key))
    const queued = this.#ready.indexOf(lane)
    if (queued >= 0) this.#ready.splice(queued, 1)
    for (const { bytes } of lane.records) this.#bytes -= bytes
    state.stage({ puts: [this.#changeEntry(parked, entry)], done })
    if (failedAttempt === undefined) return
    const { failure, error, event } = failedAttempt
    this.#failParked(parked, { topic: lane.topic, key: lane.key, offset: head.offset }, event, failure, error)
  }

  /** Parks the key whose running attempt holds the cursor back, so that one slow key never stops its partition. */
  #parkSlowest(tracker: CursorTracker): void {
    const oldest = tracker.oldestUndone
    for (const lane of this.#lanes.values()) {
      if (lane.running && lane.topic === tracker.topic && lane.records[0]?.offset === oldest)
        return this.#park(lane, undefined)
    }
  }

  #extend(parked: ParkedKey, offset: Offset, tracker: CursorTracker): void {
    const entry = extended(parked.entry, offset)
    const done = [{ tracker, offset }]
    if (entry === parked.entry) return this.#tools.state.stage({ done })
    this.#tools.state.stage({ puts: [this.#changeEntry(parked, entry)], done })
  }

  #changeEntry(parked: ParkedKey, entry: ParkedEntry): readonly [string, ParkedEntry] {
    parked.entry = entry
    this.parked.set(parked)
    return [stateLayout.parked(this.definition.name, parked.topic, parked.key), entry]
  }

  /** Nothing of a parked key is in the log any more: what it held was trimmed, or is of a type that is not handled now. */
  #nothingLeft(parked: ParkedKey): void {
    const subject = {
      topic: parked.topic,
      key: parked.key,
      offset: parked.entry.redrive?.[0] ?? parked.entry.last,
    }
    this.#advance(parked, subject.offset, {})
    this.#release(subject)
  }

  /** A drain could not read: one bad record goes to the dead letters, anything else ends the partition's work here. */
  #drainFailed(parked: ParkedKey, error: unknown): void {
    const offset = isMillraceError(error, 'RECORD_CORRUPT') ? Number(error.facts.offset) : Number.NaN
    if (!Number.isSafeInteger(offset)) return this.#tools.failed(error)
    const subject = { topic: parked.topic, key: parked.key, offset }
    this.#advance(parked, offset, {
      appends: [this.#deadLetter(subject, undefined, parked.entry.failures, error)],
    })
    this.#release(subject)
  }

  /** An attempt has ended: its key and its slot are free again. */
  #release(subject: Subject): void {
    const parked = this.parked.get(laneName(subject.topic, subject.key))
    if (parked !== undefined) {
      parked.busy = false
      this.parked.wait(parked)
    }
    this.#inFlight -= 1
    const waiters = this.#busyKeys.get(subject.key) ?? []
    this.#busyKeys.delete(subject.key)
    for (const wake of waiters) wake()
    this.pump()
    this.#tools.changed()
  }

  /** A handler that timed out and goes on: its key waits for it, and after a grace it is shown as stuck. */
  #awaitSettled(subject: Subject, settled: Promise<void>): void {
    const { runtime, logger } = this.#tools
    const name = subject.key
    const graceMs = this.definition.options.timeoutMs ?? 30_000
    const ended = new AbortController()
    runtime.spawn(`grace of ${this.definition.name}`, async () => {
      const expired = await runtime.sleep(graceMs, ended.signal).then(
        () => true,
        () => false,
      )
      if (!expired) return
      this.#stuck.add(name)
      logger.warn(
        { code: 'HANDLER_STUCK', handler: this.definition.name, key: name },
        'a timed-out attempt does not end',
      )
    })
    runtime.spawn(`end of ${this.definition.name}`, async () => {
      await settled
      ended.abort()
      this.#stuck.delete(name)
      this.#release(subject)
    })
    this.#tools.changed()
  }

  /**
   * Whether an attempt for the key is running already, for another topic or because it timed out and goes on; then `wake`
   * is called when it has ended.
   */
  #waitForKey(key: string, wake: () => void): boolean {
    const waiters = this.#busyKeys.get(key)
    if (waiters === undefined) {
      this.#busyKeys.set(key, [])
      return false
    }
    waiters.push(wake)
    return true
  }

  #holds(): boolean {
    return this.definition.options.whenExhausted === 'park'
  }

  #failure(attempt: number, error: unknown): Failure {
    return { attempt, atMs: this.#tools.runtime.now(), error: errorRecord(error) }
  }

  #deadLetter(subject: Subject, event: Event | undefined, failures: readonly Failure[], error: unknown) {
    this.#tools.counts.deadLettered += 1
    const { partition, runtime } = this.#tools
    const attempts = failures.at(-1)?.attempt ?? 0
    const letter = {
      handler: this.definition.name,
      partition,
      ...subject,
      event,
      error: errorRecord(error),
      attempts,
      failures,
    }
    return deadLetterEntry(this.#tools, letter, runtime)
  }
}

interface Subject {
  readonly topic: string
  readonly key: string
  readonly offset: Offset
}

function loopError(event: Event, hopLimit: number): MillraceError {
  return new MillraceError(
    'LOOP_SUSPECTED',
    `A chain of events passed through more than ${hopLimit} handlers.`,
    {
      where: `event '${event.type}', correlation ${event.correlationid ?? event.id}`,
      fix: 'Break the cycle of handlers that emit to one another, or raise hopLimit.',
    },
  )
}
