import { isMillraceError } from '../core/errors.ts'
import { type Event, keyOf } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import { type Outcome, runAttempt, type Succeeded } from './attempt.ts'
import { loopError } from './chain.ts'
import type { Effects } from './context.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { HandlerDefinition } from './definitions.ts'
import { nextOf } from './drain.ts'
import { FailureWatch } from './failure-watch.ts'
import { Interest } from './interest.ts'
import { type KeyInWork, type Lane, Lanes } from './lanes.ts'
import { frontOf, type ParkedEntry } from './parked-entry.ts'
import { maxParkedKeys, type ParkedKey, type ParkedKeys } from './parked-keys.ts'
import { type FailedAttempt, Parking, type Subject } from './parking.ts'
import type { Step } from './partition-state.ts'
import { RecentDurations } from './recent-durations.ts'
import type { LogRecord } from './record-cache.ts'
import { attemptKey, awaitsKey } from './rekeying.ts'
import { replyEntries } from './replies.ts'
import { isTerminal, mayRetry, type RetryPolicy, retryPolicy } from './retry.ts'
import { failureOf, Run, type RunOf } from './run.ts'
import { RunningAttempts } from './running-attempts.ts'
import { stateLayout } from './state-layout.ts'
import { StuckKeys } from './stuck-keys.ts'
import type { SubscriptionTools } from './subscription-tools.ts'
import { storedEventOf } from './upcast.ts'

/** The bounds of what one subscription holds of one partition. */
export const windowBounds = { records: 8_192, bytes: 16 * 1024 * 1024, perKey: 256, ahead: 512 } as const

const defaultTimeoutMs = 30_000
const defaultConcurrency = 256

/** Where a subscription stands. */
export interface SubscriptionPlaces {
  /** By the topics that it takes from. */
  readonly trackers: ReadonlyMap<string, CursorTracker>
  /** See {@link Subscription.sources}. */
  readonly sources: readonly CursorTracker[]
}

/** One handler's part in one partition: its cursors, the keys in work and the keys that are parked. */
export class Subscription {
  readonly definition: HandlerDefinition
  readonly trackers: ReadonlyMap<string, CursorTracker>
  /** Where it stands in topics whose records are handed on to it by its own key. */
  readonly sources: readonly CursorTracker[]
  readonly parked: ParkedKeys
  /** Of the attempts that were not aborted. */
  readonly durations = new RecentDurations()
  readonly #tools: SubscriptionTools
  readonly #interest: Interest
  readonly #retry: RetryPolicy
  readonly #watch: FailureWatch
  readonly #lanes = new Lanes()
  readonly #parking: Parking
  readonly #stuck: StuckKeys
  readonly #running: RunningAttempts<Run, Outcome>
  readonly #taskName: string
  readonly #concurrency: number
  #inFlight = 0
  #parkedFirst = false
  #pumping = false
  /** Attempts have ended, and nobody was told so far. */
  #hasEnded = false
  #closed = false

  constructor(
    definition: HandlerDefinition,
    { trackers, sources }: SubscriptionPlaces,
    parked: ParkedKeys,
    tools: SubscriptionTools,
  ) {
    this.definition = definition
    this.trackers = trackers
    this.sources = sources
    this.parked = parked
    this.#interest = new Interest(definition, tools)
    this.#tools = tools
    this.#taskName = `handler ${definition.name}`
    this.#retry = retryPolicy(definition.options.retry)
    this.#watch = new FailureWatch(tools.runtime)
    this.#parking = new Parking(definition, parked, this.#retry, tools)
    const { runtime, stop, logger } = tools
    const timeoutMs = definition.options.timeoutMs ?? defaultTimeoutMs
    this.#running = new RunningAttempts<Run, Outcome>({
      runtime,
      stop,
      timeoutMs,
      complete: (run, outcome) => this.#complete(run, outcome, runtime.now()),
      completed: () => this.pump(),
    })
    this.#stuck = new StuckKeys({ handler: definition.name, runtime, logger, graceMs: timeoutMs })
    this.#concurrency = definition.options.concurrency ?? defaultConcurrency
  }

  /** The types of the events that {@link offer} is to be called with. */
  get types(): ReadonlySet<string> {
    return this.#interest.types
  }

  get inFlight(): number {
    return this.#inFlight
  }

  /** Records that are read and not done, the running ones among them; parked keys hold theirs in the log. */
  get held(): number {
    return this.#lanes.records
  }

  /** Keys whose timed-out attempt has not ended. */
  get stuck(): readonly string[] {
    return this.#stuck.all
  }

  get paused(): boolean {
    return this.#watch.pausedUntilMs !== undefined || this.parked.size >= maxParkedKeys
  }

  /** Whether more of a topic may be read for it now. Frees room held by slow keys by parking them. */
  hasRoom(topic: string): boolean {
    const tracker = this.trackers.get(topic)
    if (tracker === undefined || this.#closed || this.parked.size >= maxParkedKeys) return false
    if (this.#watch.pausedUntilMs !== undefined && this.#canProbe()) return false
    // While there are keys enough for all slots, what is read on would wait in memory for what can wait in the log.
    if (this.#lanes.records >= windowBounds.ahead && this.#lanes.readyCount >= this.#concurrency) return false
    if (this.#lanes.bytes >= windowBounds.bytes) this.#parkSlowest([...this.trackers.values()])
    else if (tracker.read - tracker.cursor < windowBounds.records) return true
    else this.#parkSlowest([tracker])
    return false
  }

  /** Takes a record that was read; records of a topic come in order. One that it does not want counts as read. */
  offer(record: LogRecord, event: Event): void {
    const tracker = this.trackers.get(record.topic)
    if (tracker === undefined || tracker.isRecovered(record.offset) || !this.accepts(record, event)) return
    tracker.add(record.offset)
    const key = keyOf(event)
    const parked = this.parked.get(record.topic, key)
    if (parked !== undefined) {
      this.#parking.extend(parked, record, tracker)
      return
    }
    const lane = this.#lanes.push(record, key, tracker)
    if (lane.length > windowBounds.perKey) this.#park(lane)
    // While paused nobody may be waiting for the time of the next probe yet, for want of anything to probe with.
    if (this.#watch.pausedUntilMs !== undefined) this.#tools.changed(this)
  }

  /** Takes note of a record that nobody can read: it goes to the dead letters. */
  unreadable(tracker: CursorTracker, offset: Offset, error: unknown): void {
    if (tracker.isRecovered(offset)) return
    tracker.add(offset)
    const subject = { topic: tracker.topic, key: '', offset }
    const failure = { subject, event: undefined, attempt: 0, error }
    this.#tools.state.stage({ ...this.#parking.deadLetter(failure, []), done: [{ tracker, offset }] })
  }

  /** Hands a dead letter back. Gives what must be committed for it, together with the request's being done. */
  redrive(subject: Subject): Step {
    const tracker = this.trackers.get(subject.topic)
    const lane = tracker === undefined ? undefined : this.#lanes.get(tracker, subject.key)
    if (lane !== undefined) this.#park(lane)
    return this.#parking.redrive(subject)
  }

  /** Whether a dead letter was handed back and is not done yet, or is what its key stands at. */
  isPending(subject: Subject): boolean {
    return this.#parking.isPending(subject)
  }

  /**
   * Gives up a dead letter for good. Gives what must be committed for it, together with the request's being done; undefined
   * while an attempt of its key is running.
   */
  discard(subject: Subject): Step | undefined {
    return this.#parking.discard(subject)
  }

  /** When {@link pump} has something to do that only time brings. */
  nextDueMs(): number | undefined {
    const pausedUntilMs = this.#watch.pausedUntilMs
    if (this.#inFlight >= this.#concurrency || this.#closed) return undefined
    if (pausedUntilMs === undefined) return this.parked.nextDueMs()
    return this.#inFlight === 0 && this.#canProbe() ? pausedUntilMs : undefined
  }

  /** Starts whatever may run now: parked keys and others in turn, so that neither waits for the backlog of the other. */
  pump(): void {
    // An attempt that ends at once comes back here from below: the loop goes on with its slot.
    if (this.#pumping) return
    this.#pumping = true
    const nowMs = this.#tools.runtime.now()
    try {
      while (!this.#closed && this.#inFlight < this.#slots(nowMs) && this.#startNext(nowMs));
    } finally {
      this.#pumping = false
    }
    if (!this.#hasEnded) return
    this.#hasEnded = false
    this.#tools.changed(this)
  }

  #startNext(nowMs: number): boolean {
    this.#parkedFirst = !this.#parkedFirst
    if (this.#parkedFirst) return this.#takeParked(nowMs) || this.#takeLane()
    return this.#takeLane() || this.#takeParked(nowMs)
  }

  /** Starts nothing more. */
  close(): void {
    this.#closed = true
  }

  /** How many attempts may run: while paused, one that probes, and only when its time has come. */
  #slots(nowMs: number): number {
    const pausedUntilMs = this.#watch.pausedUntilMs
    if (pausedUntilMs === undefined) return this.#concurrency
    return nowMs >= pausedUntilMs ? 1 : 0
  }

  #canProbe(): boolean {
    return this.#inFlight > 0 || this.#lanes.hasReady || this.parked.nextDueMs() !== undefined
  }

  /**
   * Whether it takes a record that was read. One that is passed over by a filter or a rule is told to whoever waits for it: nothing
   * more will happen to it here.
   */
  accepts(record: LogRecord, event: Event): boolean {
    if (!this.#interest.isMeant(event)) return false
    if (this.#interest.isLetThrough(record, event)) return true
    const reply = { handler: this.definition.name, outcome: 'handled' } as const
    const appends = replyEntries(event, reply, this.#tools)
    if (appends.length > 0) this.#tools.state.stage({ appends })
    return false
  }

  #takeParked(nowMs: number): boolean {
    if (this.parked.size === 0) return false
    const isPaused = this.#watch.pausedUntilMs !== undefined
    const parked = this.parked.takeDue(isPaused ? Number.POSITIVE_INFINITY : nowMs)
    if (parked !== undefined) this.#startParked(parked)
    return parked !== undefined
  }

  #takeLane(): boolean {
    const lane = this.#lanes.takeReady()
    if (lane !== undefined) this.#startLane(lane)
    return lane !== undefined
  }

  #startLane(lane: Lane): void {
    const { key, tracker, inWork, first } = lane
    if (first === undefined) return
    if (!inWork.take()) {
      inWork.wait(() => this.#lanes.ready(lane))
      return
    }
    lane.isRunning = true
    this.#inFlight += 1
    this.#run(first, { key, tracker, lane, attempt: 1, redriven: false })
  }

  #startParked(parked: ParkedKey): void {
    const inWork = this.#lanes.inWork(parked.key)
    if (!inWork.take()) {
      inWork.wait(() => this.parked.wait(parked))
      return
    }
    parked.busy = true
    this.#inFlight += 1
    const kept = this.parked.next(parked)
    if (kept !== undefined) this.#runParked(parked, kept)
    else this.#tools.runtime.spawn(this.#taskName, () => this.#runNextOf(parked))
  }

  async #runNextOf(parked: ParkedKey): Promise<void> {
    const { entry } = parked
    try {
      const record = await nextOf(parked, this.#tools.readForDrain, this.#wantsAgain(parked))
      if (this.#closed || frontOf(parked.entry) !== frontOf(entry)) return this.#lookAgain(parked)
      if (record === undefined) return this.#nothingLeft(parked, entry)
      this.#runParked(parked, record)
      this.pump()
    } catch (error) {
      this.#drainFailed(parked, error)
    }
  }

  #runParked({ topic, key, entry }: ParkedKey, record: LogRecord): void {
    const tracker = this.trackers.get(topic)
    const redriven = entry.redrive?.[0] === record.offset
    this.#run(record, { key, tracker, lane: undefined, attempt: entry.attempt + 1, redriven })
  }

  /** What was let through once, and is handed back, is let through again, whatever filters and rules say by now. */
  #wantsAgain({ entry: { redrive } }: ParkedKey): (record: LogRecord, event: Event) => boolean {
    const [handedBack] = redrive ?? []
    return (record, event) => {
      return (
        this.#interest.wants(record, event) || (record.offset === handedBack && this.#interest.isMeant(event))
      )
    }
  }

  /** Attempts a record, and completes the attempt where it ends at once. One of a version that cannot be read here fails. */
  #run(record: LogRecord, how: RunOf): void {
    let event: Event
    let unreadable: Outcome | undefined
    try {
      event = record.event
    } catch (error) {
      const stored = storedEventOf(error)
      if (stored === undefined) throw error
      event = stored
      unreadable = { kind: 'failed', error }
    }
    const { runtime } = this.#tools
    const run = new Run(this.definition, record, event, how, runtime.now())
    const outcome = unreadable ?? this.#attempt(run)
    if (outcome !== undefined) this.#complete(run, outcome, runtime.now())
  }

  /** Nothing where the attempt must be waited for. */
  #attempt(run: Run): Outcome | undefined {
    const { counts, hopLimit } = this.#tools
    const { event } = run
    counts.attempts += 1
    if ((event.hops ?? 0) > hopLimit) return { kind: 'failed', error: loopError(event, hopLimit) }
    if (awaitsKey(this.definition, event)) return attemptKey(this.definition, event, this.#tools)
    return runAttempt(run, this.#tools, this.#running)
  }

  /** {@link pump} is to be called behind it. */
  #complete(run: Run, outcome: Outcome, nowMs: number): void {
    if (outcome.kind !== 'aborted') {
      this.durations.add(nowMs - run.startedMs)
      this.#count(run.attempt, outcome)
      const parked = this.#parkedOf(run)
      if (parked !== undefined) this.#completeParked(parked, run, outcome)
      else this.#completeLane(run, outcome)
    }
    if (outcome.kind !== 'failed' || outcome.settled === undefined) {
      this.#free(run.lane?.inWork ?? this.#lanes.inWork(run.key), this.#parkedOf(run))
      return
    }
    // A handler that timed out and goes on: its key waits for it.
    this.#stuck.follow(run.key, outcome.settled, () => this.#release(run))
    this.#hasEnded = true
  }

  /** The first attempts tell whether the handler works at all; a repeated or a terminal failure is its event's own. */
  #count(attempt: number, outcome: Outcome): void {
    if (outcome.kind === 'succeeded') this.#tools.counts.handled += 1
    else this.#tools.counts.failures += 1
    const works = outcome.kind !== 'failed' || isTerminal(outcome.error)
    if (attempt === 1 || this.#watch.pausedUntilMs !== undefined) this.#watch.record(works)
  }

  #completeLane(run: Run, outcome: Outcome): void {
    const { lane, offset, attempt } = run
    if (lane === undefined || lane.isGone || outcome.kind === 'aborted') return
    if (outcome.kind === 'succeeded') {
      this.#tools.state.stageDone(lane.tracker, offset, this.#answered(run.event, outcome))
      this.#lanes.shift(lane)
      return
    }
    const failure = failureOf(run, outcome.error)
    if (mayRetry(this.#retry, attempt, outcome.error) || this.#parking.holds) {
      this.#park(lane, failure)
      return
    }
    this.#tools.state.stageDone(lane.tracker, offset, this.#parking.deadLetter(failure, []))
    this.#lanes.shift(lane)
  }

  #completeParked(parked: ParkedKey, run: Run, outcome: Outcome): void {
    const { topic, offset } = run
    if (outcome.kind === 'succeeded') {
      this.#parking.advance(parked, offset, this.#closing(topic, offset, this.#answered(run.event, outcome)))
    } else if (outcome.kind === 'failed') this.#parking.fail(parked, failureOf(run, outcome.error))
  }

  /** Effects together with the end of the dead letter that the record perhaps was. */
  #closing(topic: string, offset: Offset, effects: Effects): Effects {
    if (!this.#tools.state.mayHaveDeadLetters) return effects
    const open = stateLayout.deadLetter(this.definition.name, topic, offset)
    return { ...effects, deletes: [...effects.deletes, open] }
  }

  /** The effects of an attempt with the reply to a publisher that waits for it. */
  #answered(event: Event, { effects, decision: value }: Succeeded): Effects {
    if (event.millracereplyto === undefined || awaitsKey(this.definition, event)) return effects
    const reply = { handler: this.definition.name, outcome: 'handled' as const, value }
    const replies = replyEntries(event, reply, this.#tools)
    return replies.length === 0 ? effects : { ...effects, appends: [...effects.appends, ...replies] }
  }

  /** Parks the keys that hold cursors back, once nothing else of the window can start: they run, or wait for one that does. */
  #parkSlowest(trackers: readonly CursorTracker[]): void {
    if (this.#lanes.hasReady) return
    for (const tracker of trackers) {
      const lane = this.#lanes.at(tracker, tracker.oldestUndone)
      if (lane !== undefined) this.#park(lane)
    }
  }

  #park(lane: Lane, failure?: FailedAttempt): void {
    this.#parking.park(this.#lanes.remove(lane), lane, failure)
  }

  /** Something was handed back while the next record was looked for, or nothing more is to start: that look is void. */
  #lookAgain(parked: ParkedKey): void {
    parked.ahead = []
    this.#release({ topic: parked.topic, key: parked.key, offset: frontOf(parked.entry) })
  }

  /**
   * The log holds nothing more of what an entry held when it was looked for: that was trimmed, or is of a type that is not
   * handled now.
   */
  #nothingLeft(parked: ParkedKey, entry: ParkedEntry): void {
    const offset = entry.redrive?.[0] ?? entry.last
    this.#parking.advance(parked, offset, {})
    this.#release({ topic: parked.topic, key: parked.key, offset })
  }

  /** A drain could not read: one bad record goes to the dead letters, anything else ends the partition's work here. */
  #drainFailed(parked: ParkedKey, error: unknown): void {
    if (this.#closed) {
      this.#lookAgain(parked)
      return
    }
    const offset = isMillraceError(error, 'RECORD_CORRUPT') ? Number(error.facts.offset) : Number.NaN
    if (!(offset >= frontOf(parked.entry))) {
      this.#tools.failed(error)
      return
    }
    const subject = { topic: parked.topic, key: parked.key, offset }
    const failure = { subject, event: undefined, attempt: 0, error }
    this.#parking.advance(parked, offset, this.#parking.deadLetter(failure, parked.entry.failures))
    this.#release(subject)
  }

  /** An attempt has ended: its key and its slot are free again, and are taken. */
  #release({ topic, key }: Subject): void {
    this.#free(this.#lanes.inWork(key), this.parked.get(topic, key))
    this.pump()
  }

  #free(inWork: KeyInWork, parked: ParkedKey | undefined): void {
    if (parked !== undefined) {
      parked.busy = false
      this.parked.wait(parked)
    }
    this.#inFlight -= 1
    this.#hasEnded = true
    inWork.free()
  }

  /** The key of an attempt where it is parked, which it is not while its lane is there. */
  #parkedOf({ lane, topic, key }: Run): ParkedKey | undefined {
    return lane?.isGone === false ? undefined : this.parked.get(topic, key)
  }
}
