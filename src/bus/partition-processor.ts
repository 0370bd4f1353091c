import { isMillraceError } from '../core/errors.ts'
import { partitionOf } from '../log/partition.ts'
import type { Appended, Claim, Entry, Offset, Place } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { GroupTools } from './group-tools.ts'
import { internalSinks, type NamedSink } from './internal-sinks.ts'
import { isAppendsTopic, rulesHandler } from './internal-topics.ts'
import { checkFit } from './partition-fit.ts'
import { dropVanished, loadSubscriptions } from './partition-setup.ts'
import { type CommitParts, PartitionState, type Stored } from './partition-state.ts'
import type { QueriedPartition } from './queried-partition.ts'
import type { RecordSink } from './record-sink.ts'
import { type RekeyTools, trimRekeyed } from './rekeying.ts'
import { RekeyingSink } from './rekeying-sink.ts'
import { moveRenamed } from './rename.ts'
import { PartitionRules } from './rules/partition-rules.ts'
import { rulesSubscription } from './rules/rule-setup.ts'
import { loadSchedule } from './schedule.ts'
import { runSource } from './source.ts'
import { declaredCells } from './state-cells.ts'
import { stateLayout } from './state-layout.ts'
import type { GroupStatus } from './status.ts'
import { StopRegistry } from './stop-registry.ts'
import type { Subscription } from './subscription.ts'
import { type InternalSink, SubscriptionSink } from './subscription-sink.ts'
import type { SubscriptionTools } from './subscription-tools.ts'
import { type Timed, Timers } from './timers.ts'
import { type ReaderTools, readLimits, readRecords, TopicReader } from './topic-reader.ts'

/** What is still needed of the log is told to the engine after so many cursors moved, or after so long. */
const needsRules = { marks: 1_024, intervalMs: 60_000 } as const
/** How much of what handlers keep stays in memory, over all partitions of the log. */
const mostCellBytes = 16 * 1024 * 1024
/** How long internal records are kept once they are done: long enough to look at, in milliseconds. */
const keepInternalMs = 24 * 60 * 60 * 1000

/** What a partition's processor tells its group, and asks it. */
export interface PartitionHooks {
  /** The partition's work has failed. */
  failed(error: unknown): void
  /** What all handlers of the group are doing in this process. */
  groupStatus(): Promise<GroupStatus>
}

/**
 * One claim at work: reads the topics of the group's handlers, runs the handlers, and commits cursors, state and appended
 * records in one step.
 */
export class PartitionProcessor {
  readonly claim: Claim
  readonly state: PartitionState
  readonly #tools: GroupTools
  readonly #hooks: PartitionHooks
  readonly #stopReading = new AbortController()
  readonly #stopAttempts = new StopRegistry()
  readonly #owners = new Map<CursorTracker, string>()
  readonly #rules: PartitionRules
  readonly #subscriptions: Subscription[] = []
  readonly #readers: TopicReader[] = []
  readonly #sources: Promise<void>[] = []
  #timers: Timers | undefined
  /** Topics that no handler of the group reads any more. */
  #unreadTopics: readonly string[] = []
  #marks = 0
  #needsToldMs = Number.NEGATIVE_INFINITY
  /** The next commit to be acknowledged tells what is needed, so that internal topics may be trimmed behind it. */
  #trims = false
  #started = false
  #failed = false

  constructor(claim: Claim, tools: GroupTools, hooks: PartitionHooks) {
    this.claim = claim
    this.#tools = tools
    this.#hooks = hooks
    this.#rules = new PartitionRules(claim.partition, {
      engine: tools.engine,
      application: tools.rules,
      signal: this.#stopReading.signal,
    })
    const commits: CommitParts = {
      parts: (marked, all) => this.#parts(marked, all),
      committed: (change, appended) => this.#committed(change, appended),
      failed: (error) => this.#fail(error),
    }
    this.state = new PartitionState(claim, commits, mostCellBytes / tools.engine.partitions)
    claim.signal.addEventListener('abort', () => this.abandon(claim.signal.reason), { once: true })
  }

  get subscriptions(): readonly Subscription[] {
    return this.#subscriptions
  }

  /**
   * Looks whether the handlers fit what is there; then, once `mayBegin` resolves, loads what was committed, sets up what is
   * new, and begins. Rejects when they do not, with nothing changed.
   */
  async start(mayBegin: () => Promise<void>): Promise<void> {
    this.#tools.runtime.spawn(`commits of partition ${this.claim.partition}`, () => this.state.run())
    try {
      await checkFit(this.#tools, this.claim, this.state)
      await mayBegin()
      await this.#load()
    } catch (error) {
      this.#fail(error)
      throw error
    }
    this.#spawnLoops()
    this.#started = true
  }

  async #load(): Promise<void> {
    await moveRenamed(this.#tools.handlers, this.state)
    await this.state.flush()
    await this.state.lookForRare()
    this.#unreadTopics = await dropVanished(this.#tools, this.claim, this.state)
    const subscriptions = await loadSubscriptions(this.#tools, this.claim, this.state, (definition) =>
      this.#subscriptionTools(definition),
    )
    for (const subscription of subscriptions) this.#take(subscription)
    await this.#rules.load()
    if (this.#tools.actsOnRules && this.#rules.hasRules) this.#take(await this.#rulesSubscription())
    const internal = await this.#internalSinks()
    for (const { name, sink } of internal) this.#owners.set(sink.tracker, name)
    for (const [topic, sinks] of this.#sinksByTopic(internal.map(({ sink }) => sink))) {
      this.#readers.push(await this.#createReader(topic, sinks))
    }
    this.#timers = await this.#createTimers()
    this.#needsToldMs = Number.NEGATIVE_INFINITY
    this.state.stage({ moved: [...this.#owners.keys()] })
    await this.state.flush()
  }

  #take(subscription: Subscription): void {
    this.#subscriptions.push(subscription)
    const { definition, trackers, sources } = subscription
    for (const tracker of [...trackers.values(), ...sources]) this.#owners.set(tracker, definition.name)
  }

  #rulesSubscription(): Promise<Subscription> {
    return rulesSubscription({
      application: this.#tools.rules,
      rules: this.#rules,
      claim: this.claim,
      state: this.state,
      toolsOf: (definition) => this.#subscriptionTools(definition),
    })
  }

  /** Sets up the handler of rules while the partition is at work. */
  async #beginRules(): Promise<void> {
    if (this.#subscriptions.some(({ definition }) => definition.name === rulesHandler)) return
    await this.#rules.load()
    const subscription = await this.#rulesSubscription()
    const begun: TopicReader[] = []
    const joined: (() => void)[] = []
    for (const tracker of subscription.trackers.values()) {
      const sink = new SubscriptionSink(subscription, tracker, this.state)
      const reader = this.#readers.find(({ place }) => place.topic === tracker.topic)
      if (reader === undefined) begun.push(await this.#createReader(tracker.topic, [sink]))
      else joined.push(() => reader.add(sink))
    }
    this.#stopReading.signal.throwIfAborted()
    this.#take(subscription)
    for (const join of joined) join()
    this.#readers.push(...begun)
    // The engine is to know at once what rules still need of topics that nobody else reads.
    this.#needsToldMs = Number.NEGATIVE_INFINITY
    this.state.stage({ moved: [...subscription.trackers.values()] })
    this.#spawnReaders(begun)
    subscription.pump()
  }

  /** Takes nothing new; what runs goes on, and what it does is still committed. */
  stopTaking(): void {
    this.#stopReading.abort(new Error('the process stops'))
    for (const subscription of this.#subscriptions) subscription.close()
    this.#changed()
  }

  /** Aborts what runs: it is neither done nor failed. */
  abortAttempts(): void {
    this.#stopAttempts.stop(new Error('the process stops'))
  }

  /** How many attempts run. */
  get inFlight(): number {
    return this.#subscriptions.reduce((sum, { inFlight }) => sum + inFlight, 0)
  }

  /** Aborts what still runs, commits what is finished and ends. */
  async finish(): Promise<void> {
    this.abortAttempts()
    this.#needsToldMs = Number.NEGATIVE_INFINITY
    this.state.stage({ moved: [...this.#owners.keys()] })
    await this.state.flush().catch(() => {})
    this.abandon(new Error('the process stops'))
    await Promise.allSettled(this.#sources)
  }

  /** Ends at once: the claim is lost, and nothing can be committed. */
  abandon(reason: unknown): void {
    this.#stopReading.abort(reason)
    this.#stopAttempts.stop(reason)
    for (const subscription of this.#subscriptions) subscription.close()
    this.state.abandon(reason)
    this.#changed()
  }

  /** Whether every record up to the given ends is done, and nothing waits but what needs a redrive. */
  isSettled(ends: ReadonlyMap<string, Offset>): boolean {
    if (!this.#started || !this.state.isDurable) return false
    for (const tracker of this.#owners.keys()) {
      if (tracker.undone > 0 || tracker.read < (ends.get(tracker.topic) ?? 0)) return false
    }
    return this.#subscriptions.every(({ parked, inFlight }) => {
      return inFlight === 0 && [...parked].every(({ entry }) => entry.dueMs === null)
    })
  }

  /** What queries are answered from. */
  get queried(): QueriedPartition {
    const { engine, runtime } = this.#tools
    const { partition } = this.claim
    const { state } = this
    const groupStatus = () => this.#hooks.groupStatus()
    return { partition, state, subscriptions: this.#subscriptions, engine, runtime, groupStatus }
  }

  /** The topics that are read here. */
  get topics(): readonly string[] {
    return this.#readers.map(({ place }) => place.topic)
  }

  #subscriptionTools(definition: HandlerDefinition): SubscriptionTools {
    const { runtime, logger, door, addressOf, hopLimit, source, internal, counts } = this.#tools
    return {
      state: this.state,
      runtime,
      logger,
      door,
      addressOf,
      hopLimit,
      cells: declaredCells(definition),
      source,
      partition: this.claim.partition,
      deadLetters: internal.deadLetters,
      repliesTopic: this.#tools.repliesTopic,
      rekeyedTopic: internal.rekeyed,
      partitions: this.#tools.engine.partitions,
      stop: this.#stopAttempts,
      filters: this.#tools.filters,
      rules: this.#rules,
      counts: counts.get(definition.name) ?? { handled: 0, attempts: 0, failures: 0, deadLettered: 0 },
      ensureTopic: (name) => this.#tools.ensureTopic(name),
      readForDrain: (topic, range) => this.#readForDrain(topic, range),
      changed: (subscription) => this.#changed(subscription),
      failed: (error) => this.#fail(error),
    }
  }

  async #readForDrain(topic: string, { from, last }: { readonly from: Offset; readonly last: Offset }) {
    const batch = await this.#readAgain(topic, from, last - from + 1)
    // It may reach further than the reader has come.
    await this.#rules.take(topic, batch.records)
    return batch
  }

  async #readAgain(topic: string, from: Offset, mostRecords: number) {
    const limits = { records: Math.min(mostRecords, readLimits.records / 4), bytes: readLimits.bytes / 4 }
    const place = this.#place(topic)
    try {
      return await readRecords(this.#readerTools(), place, from, limits)
    } catch (error) {
      // Retention does not wait for what is in the dead letters, so a redrive may come too late.
      if (!isMillraceError(error, 'OFFSET_TRIMMED')) throw error
      const { start } = await this.#tools.engine.bounds(place)
      this.#tools.logger.warn({ ...place, from, start }, 'records were dropped before they were tried again')
      return await readRecords(this.#readerTools(), place, start, limits)
    }
  }

  #readerTools(): ReaderTools {
    const { engine, cache, runtime, logger, filters } = this.#tools
    const progressed = () => this.#tools.progressed()
    return {
      engine,
      cache,
      runtime,
      logger,
      filters,
      progressed,
      rules: this.#rules,
      signal: this.#stopReading.signal,
    }
  }

  #rekeyTools(): RekeyTools {
    const { internal, engine, runtime } = this.#tools
    return { rekeyedTopic: internal.rekeyed, partitions: engine.partitions, runtime }
  }

  #place(topic: string): Place {
    return { topic, partition: this.claim.partition }
  }

  #internalSinks(): Promise<readonly NamedSink[]> {
    return internalSinks({
      group: this.#tools,
      claim: this.claim,
      state: this.state,
      subscriptions: this.#subscriptions,
      queried: () => this.queried,
      dueChanged: () => this.#timers?.notify(),
      rulesBegin: () => this.#beginRules(),
      failed: (error) => {
        if (!this.#stopReading.signal.aborted) this.#fail(error)
      },
    })
  }

  #sinksByTopic(internal: readonly InternalSink[]): ReadonlyMap<string, readonly RecordSink[]> {
    const sinks = new Map<string, RecordSink[]>()
    const add = (topic: string, sink: RecordSink) => sinks.set(topic, [...(sinks.get(topic) ?? []), sink])
    for (const subscription of this.#subscriptions) {
      for (const tracker of subscription.trackers.values()) {
        add(tracker.topic, new SubscriptionSink(subscription, tracker, this.state))
      }
      for (const tracker of subscription.sources) {
        add(tracker.topic, new RekeyingSink(subscription, tracker, this.state, this.#rekeyTools()))
      }
    }
    for (const sink of internal) add(sink.tracker.topic, sink)
    return sinks
  }

  async #createReader(topic: string, sinks: readonly RecordSink[]): Promise<TopicReader> {
    const place = this.#place(topic)
    const { end } = await this.#tools.engine.bounds(place)
    return new TopicReader(place, end, sinks, this.#readerTools())
  }

  async #createTimers(): Promise<Timers> {
    const { handlers, engine, runtime, door, internal, source } = this.#tools
    const scheduled = handlers.filter(({ kind, name }) => {
      return kind === 'every' && partitionOf(name, engine.partitions) === this.claim.partition
    })
    const schedules = await Promise.all(
      scheduled.map((definition) => loadSchedule(definition, this.state, runtime.now())),
    )
    return new Timers(
      {
        state: this.state,
        runtime,
        door,
        partitions: engine.partitions,
        ticksTopic: internal.ticks,
        source,
        signal: this.#stopReading.signal,
        ensureTopic: (name) => this.#tools.ensureTopic(name),
      },
      this.#subscriptions,
      schedules,
    )
  }

  #spawnLoops(): void {
    this.#spawnReaders([...this.#readers])
    this.#spawn('timers', () => this.#timers?.run() ?? Promise.resolve())
    for (const subscription of this.#subscriptions) subscription.pump()
    this.#spawnSources()
  }

  /** A source is taken in by the owner of the partition of its name, so by one process at a time. */
  #spawnSources(): void {
    const { sources, engine, runtime, logger, door, source: app, openTableFeed } = this.#tools
    const { signal } = this.#stopReading
    const tools = { state: this.state, door, runtime, logger, signal, context: { app, openTableFeed } }
    for (const source of sources) {
      if (partitionOf(source.name, engine.partitions) !== this.claim.partition) continue
      const ended = runSource(source, tools)
      this.#sources.push(ended)
      this.#spawn(`source ${source.name}`, () => ended)
    }
  }

  #spawnReaders(readers: readonly TopicReader[]): void {
    for (const reader of readers) this.#spawn(`reader of ${reader.place.topic}`, () => reader.run())
    if (readers.length > 0) this.#spawn('news', () => this.#followNews(readers))
  }

  #spawn(name: string, loop: () => Promise<void>): void {
    this.#tools.runtime.spawn(`${name} in partition ${this.claim.partition}`, async () => {
      try {
        await loop()
      } catch (error) {
        if (!this.#stopReading.signal.aborted) this.#fail(error)
      }
    })
  }

  /** Tells readers where their places end, as the engine tells of news. */
  async #followNews(readers: readonly TopicReader[]): Promise<void> {
    const { signal } = this.#stopReading
    const byTopic = new Map(readers.map((reader) => [reader.place.topic, reader]))
    const known = new Map(readers.map(({ place, end }) => [place, end]))
    while (!signal.aborted) {
      const changed = await this.#tools.engine.changed(known, signal)
      for (const { topic } of changed) {
        const reader = byTopic.get(topic)
        if (reader === undefined) continue
        const { end } = await this.#tools.engine.bounds(reader.place)
        reader.grown(end)
        known.set(reader.place, reader.end)
      }
    }
  }

  #parts(marked: ReadonlySet<CursorTracker>, all: boolean) {
    const puts = [...marked].map((tracker) => this.#placeOf(tracker))
    this.#marks += marked.size
    const nowMs = this.#tools.runtime.now()
    const isTime =
      this.#marks >= needsRules.marks || Math.abs(nowMs - this.#needsToldMs) >= needsRules.intervalMs
    // Parked keys are as of the last step: with some left for the next commit, they would promise too much.
    if (!isTime || !all) return { puts, needs: {} }
    this.#marks = 0
    this.#needsToldMs = nowMs
    this.#trims = true
    // What is not needed any more may be trimmed: no place that is kept may lie there.
    const passed = [...this.#owners.keys()].filter((tracker) => tracker.isPastDocument)
    return { puts: [...puts, ...passed.map((tracker) => this.#placeOf(tracker))], needs: this.#needs() }
  }

  #placeOf(tracker: CursorTracker): readonly [string, Stored] {
    return [stateLayout.subscription(this.#owners.get(tracker) ?? '', tracker.topic), tracker.document()]
  }

  /** For each topic, the lowest offset that a cursor or a parked key stands at. */
  #needs(): Record<string, Offset> {
    const needs: Record<string, Offset> = {}
    for (const topic of this.#unreadTopics) needs[topic] = Number.MAX_SAFE_INTEGER
    const need = (topic: string, offset: Offset) => {
      needs[topic] = Math.min(needs[topic] ?? Number.MAX_SAFE_INTEGER, offset)
    }
    for (const tracker of this.#owners.keys()) need(tracker.topic, tracker.cursor)
    for (const { parked } of this.#subscriptions) {
      for (const { topic, entry } of parked)
        need(topic, Math.min(entry.first, entry.redrive?.[0] ?? entry.first))
    }
    return needs
  }

  #committed(
    change: { readonly keys: Iterable<string>; readonly entries: readonly Entry[] },
    appended: readonly Appended[],
  ): void {
    this.#tools.cache.remember(change.entries, appended)
    this.#tools.observers.appended(change.entries, appended)
    this.#timers?.committed(change.keys)
    if (this.#trims) this.#tools.runtime.spawn('trim of internal topics', () => this.#trimInternal())
    this.#trims = false
    for (const reader of this.#readers) reader.notify()
    this.#tools.progressed()
  }

  /** What is delayed, fired or redriven needs no history: this group alone reads it. Dead letters are kept. */
  async #trimInternal(): Promise<void> {
    const { internal, handlers, runtime, engine, logger } = this.#tools
    const beforeTimeMs = runtime.now() - keepInternalMs
    try {
      const topics = [internal.delayed, internal.ticks, internal.redrives, internal.queries]
      for (const topic of [...topics, ...this.topics.filter(isAppendsTopic)]) {
        await engine.trim(this.#place(topic), { beforeTimeMs })
      }
      await trimRekeyed(this.#place(internal.rekeyed), handlers, { engine, state: this.state, beforeTimeMs })
    } catch (error) {
      if (!this.#stopReading.signal.aborted)
        logger.warn({ err: error }, 'internal topics could not be trimmed')
    }
  }

  /** There may be room to read, or an earlier time to wait for: of one subscription, or of any. */
  #changed(subscription?: Timed): void {
    for (const reader of this.#readers) reader.notify()
    if (subscription === undefined) this.#timers?.notify()
    else this.#timers?.notifyOf(subscription)
    this.#tools.progressed()
  }

  #fail(error: unknown): void {
    if (this.#failed) return
    this.#failed = true
    this.abandon(error)
    this.#hooks.failed(error)
  }
}
