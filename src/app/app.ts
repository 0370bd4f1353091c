import { commandOf, type HandlerDefinition, type StateSchemas } from '../bus/definitions.ts'
import { typesNamed } from '../bus/event-filter.ts'
import type { SourceDefinition } from '../bus/source.ts'
import { MillraceError } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import { checkTopicName } from '../core/event.ts'
import { checkDuration, checkList, checkOptionNames, optionNames } from '../core/options.ts'
import type { StreamDefinition } from '../eventstore/stream.ts'
import type { Retention } from '../log/port.ts'
import type { RouteDefinition } from './http.ts'

/** A handler of any state, as an application lists it. */
export type AnyHandlerDefinition = Omit<HandlerDefinition<StateSchemas>, 'options'> & {
  readonly options: HandlerDefinition['options']
}

/** Options of a topic of the application. */
export interface AppTopicOptions {
  /** How long its records are kept: for ever unless given, and never less than the slowest handler needs. */
  readonly retention?: Retention
}

/** What {@link app} takes. */
export interface AppOptions {
  /** Names the application, its group of handlers and its own topic: dot-separated words. */
  readonly name: string
  readonly handlers?: readonly AnyHandlerDefinition[]
  readonly routes?: readonly RouteDefinition[]
  /** Event types that are published from outside or by programs and that no handler of the application names. */
  readonly events?: readonly AnyEventType[]
  /** The streams whose events are appended to them, each with its version. One application on a log appends to a stream. */
  readonly streams?: readonly StreamDefinition[]
  /** What events come from outside by: made by `tableChanges` and its like. One process at a time takes them in. */
  readonly sources?: readonly SourceDefinition[]
  readonly topics?: Readonly<Record<string, AppTopicOptions>>
  /** The most handlers that a chain of events may pass through; 64 unless given. Beyond it: `LOOP_SUSPECTED`. */
  readonly hopLimit?: number
  /** The most bytes of one stored event; 512 KiB unless given. */
  readonly maxEventBytes?: number
}

const appNames = optionNames<AppOptions>({
  name: true,
  handlers: true,
  routes: true,
  events: true,
  streams: true,
  sources: true,
  topics: true,
  hopLimit: true,
  maxEventBytes: true,
})
const topicNames = optionNames<AppTopicOptions>({ retention: true })
const retentionNames = optionNames<Retention>({ maxAgeMs: true, maxBytes: true })

/** An application: handlers, routes and topics, as {@link app} checked them. It does nothing until it is started. */
export interface App {
  readonly name: string
  readonly handlers: readonly HandlerDefinition[]
  readonly routes: readonly RouteDefinition[]
  readonly streams: readonly StreamDefinition[]
  readonly sources: readonly SourceDefinition[]
  /** Every event type of the application, by its name. */
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly topics: Readonly<Record<string, AppTopicOptions>>
  readonly hopLimit: number | undefined
  readonly maxEventBytes: number | undefined
}

const apps = new WeakSet<object>()

/** Whether `value` was made by {@link app}. */
export function isApp(value: unknown): value is App {
  return typeof value === 'object' && value !== null && apps.has(value)
}

/**
 * Puts an application together. Throws `HANDLER_NAME_TAKEN` when two handlers share a name, `APP_INVALID` when two
 * different event types or streams do or a type is in two streams, `COMMAND_HANDLED_TWICE` when two handlers answer one command, and `TypeError` for parts that cannot work.
 */
export function app(options: AppOptions): App {
  checkTopicName(options?.name)
  checkOptionNames(`app '${options.name}'`, options, appNames)
  for (const name of ['handlers', 'routes', 'events', 'streams', 'sources'] as const)
    checkList(`app '${options.name}'`, name, options[name])
  checkParts(options)
  const handlers = (options.handlers ?? []) as readonly HandlerDefinition[]
  checkHandlers(options.name, handlers)
  checkTopics(options)
  const { sources = [], streams = [] } = options
  checkStreams(options)
  const listed = [
    ...(options.events ?? []),
    ...streams.flatMap((each) => each.events),
    ...sources.flatMap((source) => source.events),
  ]
  const events = collectEvents(options.name, handlers, listed)
  const made: App = Object.freeze({
    name: options.name,
    handlers: Object.freeze(handlers.map((handler) => withNamedTypes(handler, events))),
    routes: Object.freeze([...(options.routes ?? [])]),
    streams: Object.freeze([...streams]),
    sources: Object.freeze([...sources]),
    events,
    topics: options.topics ?? {},
    hopLimit: options.hopLimit,
    maxEventBytes: options.maxEventBytes,
  })
  apps.add(made)
  return made
}

/** A handler whose filter names types by a pattern, with the types that these are. */
function withNamedTypes(
  handler: HandlerDefinition,
  events: ReadonlyMap<string, AnyEventType>,
): HandlerDefinition {
  if (handler.typePattern === undefined) return handler
  return Object.freeze({ ...handler, events: typesNamed(handler.name, handler.typePattern, events) })
}

function checkParts({ name, routes = [], events = [], sources = [], ...limits }: AppOptions): void {
  if (routes.some((route) => typeof route?.path !== 'string')) {
    throw new TypeError(`app '${name}': every route must be made by http.get() or its siblings`)
  }
  if (events.some((type) => typeof type?.type !== 'string')) {
    throw new TypeError(`app '${name}': every event type must be made by event()`)
  }
  if (sources.some((source) => typeof source?.open !== 'function')) {
    throw new TypeError(`app '${name}': every source must be made by tableChanges() or its like`)
  }
  const twice = sources.find(
    (source, index) => sources.findIndex((other) => other.name === source.name) < index,
  )
  if (twice !== undefined) throw new TypeError(`app '${name}': two sources are named '${twice.name}'`)
  const { hopLimit, maxEventBytes } = limits
  checkWhole(`app '${name}'`, { hopLimit, maxEventBytes }, 1)
}

/** Each event of a stream has one place where it gets its version. */
function checkStreams({ name, streams = [], sources = [] }: AppOptions): void {
  const where = `app '${name}'`
  const streamOf = new Map<string, string>()
  for (const [index, each] of streams.entries()) {
    if (typeof each?.name !== 'string' || !Array.isArray(each.events)) {
      throw new TypeError(`${where}: every stream must be made by stream()`)
    }
    if (streams.findIndex((other) => other.name === each.name) < index) {
      const fix = 'Give each stream a name of its own: its versions are kept under it.'
      throw new MillraceError('APP_INVALID', `Two streams are named '${each.name}'.`, { where, fix })
    }
    for (const { type } of each.events) {
      const other = streamOf.get(type)
      if (other !== undefined) {
        const fix = 'Leave it in one of them.'
        const message = `Event '${type}' is in two streams, '${other}' and '${each.name}'.`
        throw new MillraceError('APP_INVALID', message, { where, fix })
      }
      streamOf.set(type, each.name)
    }
  }
  for (const source of sources) {
    const taken = source.events.find(({ type }) => streamOf.has(type))
    if (taken === undefined) continue
    const message = `Source '${source.name}' publishes '${taken.type}', which is of a stream.`
    const fix = 'Let a route or a program append what the source tells of, under a type of its own.'
    throw new MillraceError('APP_INVALID', message, { where, fix })
  }
}

function checkWhole(what: string, values: Readonly<Record<string, number | undefined>>, least: 0 | 1): void {
  for (const [option, value] of Object.entries(values)) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new TypeError(`${what}: '${option}' must be a whole number, at least ${least}`)
    }
  }
}

function checkTopics({ name, topics = {} }: AppOptions): void {
  for (const [topic, options] of Object.entries(topics)) {
    checkTopicName(topic)
    const what = `app '${name}': topic '${topic}'`
    checkOptionNames(what, options, topicNames)
    const { retention } = options
    checkOptionNames(`${what}: retention`, retention, retentionNames)
    checkDuration(what, 'retention.maxAgeMs', retention?.maxAgeMs, 0)
    checkWhole(what, { 'retention.maxBytes': retention?.maxBytes }, 0)
  }
}

function checkHandlers(name: string, handlers: readonly HandlerDefinition[]): void {
  const seen = new Set<string>()
  for (const handler of handlers) {
    if (typeof handler?.run !== 'function') {
      throw new TypeError(`app '${name}': every handler must be made by on() or every()`)
    }
    if (seen.has(handler.name)) {
      throw new MillraceError('HANDLER_NAME_TAKEN', `Two handlers are named '${handler.name}'.`, {
        where: `app '${name}'`,
        fix: 'Give each handler a name of its own: it is where its place in the log is kept.',
      })
    }
    seen.add(handler.name)
  }
  checkCommands(name, handlers)
  for (const { name: renamed, options } of handlers) {
    if (options.renamedFrom !== undefined && seen.has(options.renamedFrom)) {
      throw new TypeError(`handler '${renamed}': 'renamedFrom' names a handler that is still there`)
    }
  }
}

function checkCommands(name: string, handlers: readonly HandlerDefinition[]): void {
  const answered = new Map<string, string>()
  for (const handler of handlers) {
    const command = commandOf(handler)
    if (command === undefined) continue
    const other = answered.get(command.type)
    if (other !== undefined) {
      throw new MillraceError('COMMAND_HANDLED_TWICE', `Two handlers answer command '${command.type}'.`, {
        where: `app '${name}': handlers '${other}' and '${handler.name}'`,
        fix: 'Keep one of them: a command has one result. Others may react to an event that it emits.',
      })
    }
    answered.set(command.type, handler.name)
  }
}

function collectEvents(
  name: string,
  handlers: readonly HandlerDefinition[],
  listed: readonly AnyEventType[],
): ReadonlyMap<string, AnyEventType> {
  const events = new Map<string, AnyEventType>()
  for (const type of [...handlers.flatMap((handler) => handler.events), ...listed]) {
    const known = events.get(type.type)
    if (known !== undefined && known !== type) {
      throw new MillraceError('APP_INVALID', `Two event types are named '${type.type}'.`, {
        where: `app '${name}'`,
        fix: 'Declare each event type once and import it where it is used.',
      })
    }
    events.set(type.type, type)
  }
  return events
}
