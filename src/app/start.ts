import { type AddressOf, addressBook, type SendTarget, type SentTo } from '../bus/addressing.ts'
import { DeadLetters } from '../bus/dead-letters.ts'
import type { EventOfAny, HandlerDefinition, StateSchemas, StateSnapshot } from '../bus/definitions.ts'
import { Door } from '../bus/door.ts'
import { explainRoute, type Route, type RoutedEvent } from '../bus/explain.ts'
import { GroupProcessor } from '../bus/group-processor.ts'
import type { GroupTools } from '../bus/group-tools.ts'
import { HandlerFilters, needsCompiler } from '../bus/handler-filters.ts'
import { internalTopics, isInternalHandler, rulesHandler } from '../bus/internal-topics.ts'
import {
  type BestEffortObserver,
  type BestEffortWatch,
  Observers,
  type WatchOptions,
} from '../bus/observers.ts'
import {
  type IncomingEvent,
  type Published,
  type PublishedIn,
  Publisher,
  type PublishOptions,
  type SendOptions,
} from '../bus/publisher.ts'
import { RecordCache } from '../bus/record-cache.ts'
import { isRekeyed } from '../bus/rekeying.ts'
import type { RequestOptions, SubmitOptions, Submitted } from '../bus/requests.ts'
import { keepRetention, type RetentionTools } from '../bus/retention.ts'
import { type RoutedView, routedView } from '../bus/routed-view.ts'
import { ApplicationRules, loadCompiler } from '../bus/rules/application-rules.ts'
import type { CompileExpression } from '../bus/rules/compiled-rules.ts'
import type { Rules } from '../bus/rules/rules.ts'
import type { HandlerStatus, HandlersOverview } from '../bus/status.ts'
import { eventReader } from '../bus/upcast.ts'
import { WaitingPublishers } from '../bus/waiting-publishers.ts'
import type { AnyCommandType, CommandOutcome, CommandState } from '../core/command.ts'
import { MillraceError } from '../core/errors.ts'
import type { AnyEventType, DataInputOf, Event } from '../core/event.ts'
import { checkDuration, checkList, checkOptionNames, optionNames } from '../core/options.ts'
import { realRuntime } from '../core/real-runtime.ts'
import { type Logger, type Runtime, silentLogger } from '../core/runtime.ts'
import { appendCommands, appendHandlers } from '../eventstore/append-request.ts'
import type { NewStreamEvent, StreamDefinition } from '../eventstore/stream.ts'
import type { AppendOptions, AppendResult } from '../eventstore/streams.ts'
import { partitionOf } from '../log/partition.ts'
import type { LogEngine } from '../log/port.ts'
import type { App } from './app.ts'
import { isApp } from './app.ts'
import { bindMethods } from './bind-methods.ts'
import { nothingToForget } from './forget-handler.ts'
import { openEngine } from './open-engine.ts'
import { Questions } from './questions.ts'
import type { RunningApp, StartOptions } from './running.ts'
import { Settling } from './settling.ts'
import { tableFeedOpener } from './table-feeds.ts'

const startNames = optionNames<StartOptions>({
  log: true,
  logger: true,
  runtime: true,
  drainMs: true,
  forget: true,
  partitions: true,
})
const defaultHopLimit = 64
const defaultDrainMs = 10_000

/**
 * Starts an application in this process: opens its log, creates its topics, takes its part in its groups. Resolves once
 * it handles events. Rejects, with everything closed again, when a handler does not fit what the log holds
 * (`FROM_REQUIRED`, `HANDLER_VANISHED`) or the log cannot be had (`LOG_IN_USE` and others).
 */
export async function start(app: App, options: StartOptions = {}): Promise<RunningApp> {
  if (!isApp(app)) throw new TypeError('start: the first argument must be made by app()')
  checkOptionNames('start', options, startNames)
  checkDuration('start', 'drainMs', options.drainMs, 0)
  checkList('start', 'forget', options.forget)
  const runtime = options.runtime ?? realRuntime()
  const log = options.log ?? 'lmdb:.millrace'
  const { partitions, logger = silentLogger } = options
  const given = { runtime, logger, ...(partitions === undefined ? {} : { partitions }) }
  const engine = typeof log === 'string' ? await openEngine(log, given) : log
  if (!engine.capabilities.appendDeduplicates) {
    throw new TypeError('start: this engine does not deduplicate appends, which publishing twice relies on')
  }
  const running = new Running(app, engine, runtime, options)
  try {
    await running.begin()
    bindMethods(running.deadLetters)
    return bindMethods(running)
  } catch (error) {
    await running.stop({ now: true })
    throw error
  }
}

class Running implements RunningApp {
  readonly app: App
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly logger: Logger
  readonly deadLetters: DeadLetters
  readonly rules: Rules
  readonly #rules: ApplicationRules
  readonly #options: StartOptions
  readonly #memberId: string
  readonly #door: Door
  /** The application's handlers, and those that append to its streams. */
  readonly #definitions: readonly HandlerDefinition[]
  readonly #publisher: Publisher
  readonly #questions: Questions
  readonly #cache: RecordCache
  readonly #view: RoutedView
  readonly #eventObservers: Observers
  readonly #addressOf: AddressOf
  readonly #groups = new Map<string, GroupProcessor>()
  readonly #topics = new Set<string>()
  readonly #stopping = new AbortController()
  readonly #settling: Settling
  readonly #forgotten = new Set<string>()
  #ready = false
  #stopped: Promise<void> | undefined

  constructor(app: App, engine: LogEngine, runtime: Runtime, options: StartOptions) {
    this.app = app
    this.engine = engine
    this.runtime = runtime
    this.logger = options.logger ?? silentLogger
    this.#options = options
    this.#settling = new Settling({ engine, runtime, groups: this.#groups, signal: this.#stopping.signal })
    // Without handlers nobody reads what was just published.
    const isRead = app.handlers.length + app.streams.length > 0
    const cacheBytes = isRead ? undefined : 0
    this.#view = routedView(app.events)
    this.#cache = new RecordCache(eventReader(app.events), cacheBytes)
    this.#addressOf = addressBook(app.handlers)
    this.#memberId = runtime.id()
    const { partitions } = engine
    this.#door = new Door({
      runtime,
      partitions,
      source: app.name,
      topic: app.name,
      maxEventBytes: app.maxEventBytes,
      events: app.events,
      streams: app.streams,
      isRead,
    })
    const appends = appendCommands(app.name, app.streams)
    this.#definitions = [...app.handlers, ...appendHandlers(appends, this.#door)]
    const waiting = new WaitingPublishers({
      engine,
      runtime,
      logger: this.logger,
      place: { topic: internalTopics(app.name).replies, partition: partitionOf(this.#memberId, partitions) },
      signal: this.#stopping.signal,
    })
    this.#eventObservers = new Observers({ runtime, logger: this.logger, readEvent: this.#cache.readEvent })
    this.#publisher = new Publisher({
      engine,
      runtime,
      door: this.#door,
      cache: this.#cache,
      observers: this.#eventObservers,
      events: app.events,
      delayedTopic: internalTopics(app.name).delayed,
      ensureTopic: (name) => this.#ensureTopic(name),
      beginWait: (type, topic, to) => {
        return waiting.begin(to === undefined ? this.#handlersOf(type, topic) : [to])
      },
    })
    this.#rules = this.#applicationRules()
    this.rules = this.#rules.face
    this.#questions = new Questions({
      app,
      engine,
      runtime,
      waiting,
      publisher: this.#publisher,
      groups: this.#groups,
      definitions: this.#definitions,
      door: this.#door,
      appends,
    })
    this.deadLetters = this.#createDeadLetters(waiting)
  }

  get ready(): boolean {
    return this.#ready
  }

  async begin(): Promise<void> {
    const internal = this.#options.forget?.find(isInternalHandler)
    if (internal !== undefined) throw nothingToForget(this.app, internal)
    await this.#createTopics()
    await this.#rules.begin()
    this.engine.outbox?.onRefused(({ topic, error }) => {
      this.logger.error(
        { topic, error },
        'an event of a committed transaction was refused, and is kept aside',
      )
    })
    const compile = needsCompiler(this.app.handlers) ? await loadCompiler() : undefined
    for (const [group, handlers] of this.#handlersByGroup()) {
      this.#groups.set(group, new GroupProcessor(this.#groupTools(group, handlers, compile), this.#memberId))
    }
    for (const group of this.#groups.values()) await group.join()
    for (const group of this.#groups.values()) await group.start()
    this.#checkForgotten()
    const tools: RetentionTools = {
      runtime: this.runtime,
      logger: this.logger,
      signal: this.#stopping.signal,
      mayTrim: (at) => [...this.#groups.values()].every((group) => group.hasToldNeedsOf(at)),
    }
    const keepsAll = Object.values(this.app.topics).every(({ retention }) => retention === undefined)
    if (!keepsAll) this.runtime.spawn('retention', () => keepRetention(this.engine, tools))
    this.#ready = true
  }

  publish<T extends AnyEventType>(
    type: T,
    data: DataInputOf<T>,
    options?: PublishOptions,
  ): Promise<Published> {
    return this.#publisher.publish(type, data, options)
  }

  publishIn(...given: Parameters<Publisher['publishIn']>): Promise<PublishedIn> {
    return this.#publisher.publishIn(...given)
  }

  async send<Target extends SendTarget | string, T extends SentTo<Target>>(
    handler: Target,
    type: T,
    data: DataInputOf<T>,
    options?: SendOptions,
  ): Promise<Published> {
    return this.#publisher.send(this.#addressOf(handler, type), type, data, options)
  }

  watch<const T extends AnyEventType | readonly AnyEventType[]>(
    types: T,
    observer: BestEffortObserver<EventOfAny<T>>,
    options?: WatchOptions,
  ): BestEffortWatch {
    this.#stopping.signal.throwIfAborted()
    return this.#eventObservers.watch(types, observer as unknown as BestEffortObserver, options)
  }

  accept(
    events: readonly IncomingEvent[],
    options: { readonly topic?: string } = {},
  ): Promise<readonly Published[]> {
    return this.#publisher.accept(events, options.topic)
  }

  async request<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: RequestOptions,
  ): Promise<CommandOutcome<C>> {
    return this.#questions.requests.request(command, data, options)
  }

  async submit<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: SubmitOptions,
  ): Promise<Submitted> {
    return this.#questions.requests.submit(command, data, options)
  }

  result<C extends AnyCommandType>(command: C, id: string): Promise<CommandState<C>>
  result(id: string): Promise<CommandState<AnyCommandType>>
  result(...given: readonly [AnyCommandType, string] | readonly [string]) {
    const [command, id] = given.length === 1 ? [undefined, given[0]] : given
    return this.#questions.requests.fetch(command, id)
  }

  read<States extends StateSchemas>(
    handler: HandlerDefinition<States>,
    key: string,
  ): Promise<StateSnapshot<States>> {
    return this.#questions.read(handler, key)
  }

  append<T extends AnyEventType>(
    stream: StreamDefinition<T>,
    id: string,
    events: readonly NewStreamEvent<T>[],
    options?: AppendOptions,
  ): Promise<AppendResult> {
    return this.#questions.streams.append(stream, id, events, options)
  }

  streamVersion(stream: StreamDefinition, id: string): Promise<number> {
    return this.#questions.streams.version(stream, id)
  }

  status(): Promise<readonly HandlerStatus[]> {
    return Promise.all(
      [...this.#definitions, ...this.#rules.definitions].map((definition) => {
        const group = this.#groups.get(this.#groupOf(definition.name)) as GroupProcessor
        return group.status(definition)
      }),
    )
  }

  overview(): Promise<HandlersOverview> {
    return this.#questions.overview(this.#memberId)
  }

  async route(event: RoutedEvent): Promise<Route> {
    const type = this.app.events.get(event.type)
    const completed = {
      specversion: '1.0',
      id: this.runtime.id(),
      source: this.app.name,
      time: new Date(this.runtime.now()).toISOString(),
      ...event,
    } as Event
    await this.#rules.history.refresh()
    return explainRoute(completed, {
      topic: type === undefined ? this.app.name : this.#door.topicOf(type),
      handlers: this.app.handlers,
      book: this.#rules.history.book,
      events: this.app.events,
      view: this.#view,
      compile: await loadCompiler(),
      topicsOf: (definition) => definition.events.map((each) => this.#door.topicOf(each)),
    })
  }

  settled(signal?: AbortSignal): Promise<void> {
    return this.#settling.wait(signal)
  }

  stop(options: { readonly now?: boolean } = {}): Promise<void> {
    if (options.now) this.#deadline.abort()
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  readonly #deadline = new AbortController()

  async #stop(): Promise<void> {
    this.#ready = false
    this.#stopping.abort(new MillraceError('LOG_CLOSED', 'The application stops.'))
    const drained = new AbortController()
    const drainMs = this.#options.drainMs ?? defaultDrainMs
    this.runtime.spawn('deadline of stopping', () =>
      this.runtime.sleep(drainMs, drained.signal).then(
        () => this.#deadline.abort(),
        () => {},
      ),
    )
    await Promise.all([...this.#groups.values()].map((group) => group.stop(this.#deadline.signal)))
    drained.abort()
    this.#eventObservers.stop()
    if (typeof this.#options.log !== 'object') await this.engine.close()
    this.#progressed()
  }

  /** Every name under `forget` must have left something behind; what is in partitions not at work here cannot be known. */
  #checkForgotten(): void {
    const knowsAll = [...this.#groups.values()].every(({ isWhollyAtWork }) => isWhollyAtWork)
    for (const handler of this.#options.forget ?? []) {
      if (knowsAll && !this.#forgotten.has(handler)) throw nothingToForget(this.app, handler)
    }
  }

  #handlersByGroup(): ReadonlyMap<string, readonly HandlerDefinition[]> {
    const groups = new Map<string, HandlerDefinition[]>([[this.app.name, []]])
    for (const handler of this.#definitions) {
      const group = this.#groupOf(handler.name)
      groups.set(group, [...(groups.get(group) ?? []), handler])
    }
    return groups
  }

  #groupOf(handler: string): string {
    return this.app.handlers.find(({ name }) => name === handler)?.options.group ?? this.app.name
  }

  #groupTools(
    group: string,
    handlers: readonly HandlerDefinition[],
    compile: CompileExpression | undefined,
  ): GroupTools {
    const { engine, runtime, logger } = this
    return {
      engine,
      runtime,
      logger,
      door: this.#door,
      addressOf: this.#addressOf,
      filters: new HandlerFilters(handlers, logger, compile, this.#view),
      rules: this.#rules,
      actsOnRules: group === this.app.name,
      sources: group === this.app.name ? this.app.sources : [],
      openTableFeed: tableFeedOpener(this.#options.log, runtime),
      cache: this.#cache,
      observers: this.#eventObservers,
      group,
      source: this.app.name,
      hopLimit: this.app.hopLimit ?? defaultHopLimit,
      internal: internalTopics(group),
      repliesTopic: internalTopics(this.app.name).replies,
      handlers,
      counts: new Map(
        [...handlers.map(({ name }) => name), rulesHandler].map((name) => {
          return [name, { handled: 0, attempts: 0, failures: 0, deadLettered: 0 }]
        }),
      ),
      forget: new Set(this.#options.forget ?? []),
      forgotten: this.#forgotten,
      topicsOf: (definition) => this.#topicsOf(definition, group),
      ensureTopic: (name) => this.#ensureTopic(name),
      progressed: () => this.#progressed(),
    }
  }

  #handlersOf(type: string, topic: string): readonly string[] {
    const matching = this.app.handlers.filter((definition) => {
      return definition.events.some((event) => event.type === type && this.#door.topicOf(event) === topic)
    })
    return matching.map(({ name }) => name)
  }

  #topicsOf(definition: HandlerDefinition, group: string): readonly string[] {
    if (definition.kind === 'every') return [internalTopics(group).ticks]
    const topics = [...new Set(definition.events.map((type) => this.#door.topicOf(type)))]
    return isRekeyed(definition) ? [...topics, internalTopics(group).rekeyed] : topics
  }

  async #createTopics(): Promise<void> {
    const read = this.#definitions.flatMap((each) => this.#topicsOf(each, this.#groupOf(each.name)))
    const names = new Set([...this.#ownTopics(), this.#rules.topic, ...read])
    for (const group of this.#handlersByGroup().keys()) {
      for (const name of Object.values(internalTopics(group))) names.add(name)
    }
    for (const name of names) await this.#ensureTopic(name)
  }

  #createDeadLetters(waiting: WaitingPublishers): DeadLetters {
    const groups = [...this.#handlersByGroup()]
    const named = groups.flatMap(([group, handlers]) => handlers.map(({ name }) => [name, group] as const))
    return new DeadLetters({
      engine: this.engine,
      runtime: this.runtime,
      source: this.app.name,
      queries: this.#questions.queries,
      handlers: new Map([...named, [rulesHandler, this.app.name]]),
      groups: groups.map(([group]) => group),
      begin: (names) => waiting.begin(names),
    })
  }

  #applicationRules(): ApplicationRules {
    const { engine, runtime, app } = this
    return new ApplicationRules({
      engine,
      runtime,
      source: app.name,
      events: app.events,
      handlers: new Set(app.handlers.filter(({ kind }) => kind === 'on').map(({ name }) => name)),
      addressOf: this.#addressOf,
      readEvent: this.#cache.readEvent,
      view: this.#view,
      signal: this.#stopping.signal,
      topics: () => this.#ownTopics(),
      checkAdmissible: (type) => this.#door.checkAdmissible(type),
    })
  }

  /** The topics that are not internal. */
  #ownTopics(): readonly string[] {
    const ofEvents = [...this.app.events.values()].map((type) => this.#door.topicOf(type))
    return [...new Set([this.app.name, ...ofEvents, ...Object.keys(this.app.topics)])]
  }

  #ensureTopic(name: string): Promise<void> | undefined {
    return this.#topics.has(name) ? undefined : this.#createTopic(name)
  }

  async #createTopic(name: string): Promise<void> {
    const retention = this.app.topics[name]?.retention
    await this.engine.createTopic(name, retention === undefined ? {} : { retention })
    this.#topics.add(name)
  }

  #progressed(): void {
    for (const group of this.#groups.values()) group.progressed()
    this.#settling.progressed()
  }
}
