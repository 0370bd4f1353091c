import { Cron } from 'croner'
import { type AnswerTo, type AnyCommandType, isCommand } from '../core/command.ts'
import { MillraceError } from '../core/errors.ts'
import type { AnyEventType, DataInputOf, Event, EventOf, EventType } from '../core/event.ts'
import { checkDuration, checkOptionNames, optionNames } from '../core/options.ts'
import type { Logger } from '../core/runtime.ts'
import type { InputOf, OutputOf, Schema } from '../core/schema.ts'
import type { SendTarget, SentTo } from './addressing.ts'
import {
  type CheckedFilter,
  checkFilter,
  type EventFilter,
  type FilterCondition,
  isDeclared,
} from './event-filter.ts'
import { rulesHandler } from './internal-topics.ts'

/** Named values of a handler's state, each with its schema: kept for every key, missing until set or by a default. */
export type StateSchemas = Readonly<Record<string, Schema>>

type StateValue<S extends Schema> = undefined extends InputOf<S> ? OutputOf<S> : OutputOf<S> | undefined

/** One value of the state of the event's key. */
export interface StateCell<S extends Schema> {
  /** The value, with this attempt's own writes; the schema's default, or undefined, while nothing is set. */
  get(): Promise<StateValue<S>>
  /** Sets the value; committed with the event's being done, or not at all. `STATE_INVALID` unless it matches its schema. */
  set(value: InputOf<S>): void
  /** Removes the value, as `set` would. */
  delete(): void
}

/** Access to the state of the event's key, by name. */
export type StateAccess<States extends StateSchemas> = {
  readonly [Name in keyof States]: StateCell<States[Name]>
}

/** All values of one key's state, as {@link StateCell.get} gives them. */
export type StateSnapshot<States extends StateSchemas> = {
  readonly [Name in keyof States]: StateValue<States[Name]>
}

/** Options of `ctx.emit`. */
export interface EmitOptions {
  readonly subject?: string
  /** The media type of the data; JSON unless given. XML is kept as text. */
  readonly datacontenttype?: string
  /** How much later it is appended, in milliseconds. Not together with `at`. */
  readonly delay?: number
  /** When it is appended. Not together with `delay`. */
  readonly at?: Date
}

/** Options of `ctx.once`. */
export interface OnceOptions<Result> {
  /** What `once` gives, without running anything, while the subscription catches up silently. */
  readonly whenSilent?: Result
}

/** What a handler has besides its event. It is revoked when its attempt ends or times out. */
export interface HandlerContext<States extends StateSchemas = StateSchemas> {
  /**
   * Appends an event when this attempt succeeds, together with its state and with this event's being done, or not at all.
   * Ordered as called. Refused data makes the attempt fail.
   */
  emit<T extends AnyEventType>(type: T, data: DataInputOf<T>, options?: EmitOptions): void
  /**
   * As `emit`, for one handler alone, given itself or by name: every other handler passes the event over. Throws
   * `HANDLER_UNKNOWN` when the application has no such handler, and `EVENT_NOT_HANDLED` when it does not handle the type.
   */
  send<Target extends SendTarget | string, T extends SentTo<Target>>(
    handler: Target,
    type: T,
    data: DataInputOf<T>,
    options?: EmitOptions,
  ): void
  /** The state of this event's key. */
  readonly state: StateAccess<States>
  /**
   * Runs an effect on the outside world and remembers its result durably before it resolves, so that later attempts get
   * that result without running it again. If the process dies in between it runs again: pass the idempotency key on.
   * A name used twice in one attempt is `NAME_REPEATED`. The result must be JSON.
   */
  once<Result>(
    name: string,
    run: (idempotencyKey: string, signal: AbortSignal) => Promise<Result> | Result,
    options?: OnceOptions<Result>,
  ): Promise<Result>
  /** Aborted when the attempt times out, the claim is lost or the process stops. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** 1 for the first attempt. */
  readonly attempt: number
  /** True while the subscription catches up silently: emits are dropped and `once` gives its `whenSilent`. */
  readonly silent: boolean
  /** True when the event was handed back from the dead letters: later events of its key may have been handled already. */
  readonly redriven: boolean
  /** The time, in milliseconds since 1970 UTC. */
  now(): number
}

/** How failed attempts are repeated: exponential backoff with full jitter, then the dead letters. */
export interface RetryOptions {
  /** How many attempts in all; 5 unless given. */
  readonly attempts?: number
  /** The bound of the first delay, doubled for each further one; 100 ms unless given. */
  readonly baseMs?: number
  /** The bound of every delay; 60 s unless given. */
  readonly maxMs?: number
}

/** Where a new subscription begins. */
export type From = 'start' | 'now' | Date

/** Options of {@link on}; `Data` is what its events carry. */
export interface OnOptions<States extends StateSchemas = StateSchemas, Data = never> {
  /** The subscription's durable name: unique in the application, letters, digits, `-`, `_` and `.`. */
  readonly name: string
  /**
   * The name that it had before: it goes on where that one stood, with its state, its parked keys and its dead letters.
   * It can be left out once every partition has been owned under the new name, and what was sent to the former name is
   * handled.
   */
  readonly renamedFrom?: string
  /**
   * What this handler's order and state are kept by, instead of the key of its events. Each record is handed on, through an
   * internal topic, to the partition of this key: those of one key that come from one partition keep their order, and there
   * is none across partitions. Must give the same for the same data; an event for which it throws, or gives no string of at
   * most 512 bytes, is a dead letter with the reason.
   */
  readonly key?: (data: Data) => string
  /** Owned and scaled with the handlers of this group; the application's name unless given. */
  readonly group?: string
  /** Where the subscription begins when it is new; required on a topic that has records. */
  readonly from?: From
  /** `silent`: what was there when the subscription was created is read without emits and `once`. */
  readonly catchUp?: 'silent' | 'live'
  readonly state?: States
  readonly retry?: RetryOptions
  /** How long one attempt may take; 30 s unless given. */
  readonly timeoutMs?: number
  /** After exhausted attempts: `skip` goes on with the key, `park` holds the key until it is redriven. */
  readonly whenExhausted?: 'skip' | 'park'
  /** How many events of one partition are handled at once; 256 unless given. */
  readonly concurrency?: number
}

/** A handler as a function. What it returns is the result of a command; that of an event's handler is not used. */
export type HandlerFunction<E, States extends StateSchemas, Result = unknown> = (
  event: E,
  ctx: HandlerContext<States>,
) => Result | Promise<Result>

/** A handler as an object or the instance of a class. */
export interface HandlerObject<E, States extends StateSchemas, Result = unknown> {
  handle(event: E, ctx: HandlerContext<States>): Result | Promise<Result>
}

/** A handler as a module: its default export is a function or an object with `handle`. */
export interface HandlerModule<E, States extends StateSchemas, Result = unknown> {
  readonly default: HandlerFunction<E, States, Result> | HandlerObject<E, States, Result>
}

/** The four forms of a handler; all behave alike. */
export type Handler<E, States extends StateSchemas = StateSchemas, Result = unknown> =
  | HandlerFunction<E, States, Result>
  | HandlerObject<E, States, Result>
  | HandlerModule<E, States, Result>

/** The event that fires a schedule. */
export interface Tick {
  /** The schedule's name. */
  readonly name: string
  /** The time it was due at, in RFC 3339. */
  readonly scheduled: string
}

/** Options of {@link every}. */
export interface EveryOptions<States extends StateSchemas = StateSchemas>
  extends Pick<OnOptions<States>, 'name' | 'group' | 'state' | 'retry' | 'timeoutMs' | 'whenExhausted'> {
  /** The IANA time zone of the pattern; UTC unless given. */
  readonly timezone?: string
}

/** A handler of an application, as {@link on} or {@link every} made it. */
export interface HandlerDefinition<
  States extends StateSchemas = StateSchemas,
  T extends AnyEventType = AnyEventType,
> {
  readonly name: string
  readonly kind: 'on' | 'every'
  /** What it reacts to; empty for a schedule. */
  readonly events: readonly T[]
  /** Names like these are what it reacts to, until the application says which of its event types they are. */
  readonly typePattern?: string
  /** What an event must be like besides its type. */
  readonly condition?: FilterCondition
  readonly schedule: Schedule | undefined
  readonly options: OnOptions<States>
  readonly run: HandlerFunction<Event, StateSchemas>
}

/** A cron pattern in a time zone. */
export interface Schedule {
  readonly pattern: string
  readonly timezone: string
}

type MemberOf<T> = T extends readonly (infer Member extends AnyEventType)[]
  ? Member
  : T extends AnyEventType
    ? T
    : T extends { readonly type: infer Types extends AnyEventType | readonly AnyEventType[] }
      ? MemberOf<Types>
      : EventType
/** The events of one type, or of any of several. */
export type EventOfAny<T> = EventOf<MemberOf<T>>
type ReturnedFor<T> = T extends AnyCommandType ? AnswerTo<T> : unknown

/**
 * Declares a handler that reacts to events. Events of one key of a topic arrive one at a time and in order, through
 * retries and dead letters; what the handler emits and sets is committed together with the event's being done.
 * Instead of event types it can be given a filter: a pattern of their names, of the subject and of the content, and a condition.
 * A command is handled alone, and what the handler returns, or gives to `failed`, is its result: committed with the rest.
 * Throws `TypeError` for options that cannot work.
 */
export function on<
  const T extends AnyEventType | readonly AnyEventType[] | EventFilter,
  States extends StateSchemas = Record<never, never>,
>(
  events: T,
  options: OnOptions<States, EventOfAny<T>['data']>,
  handler: Handler<EventOfAny<T>, States, ReturnedFor<MemberOf<T>>>,
): HandlerDefinition<States, MemberOf<T>> {
  const name = checkHandlerName(options?.name)
  const filter = checkedEvents(name, events)
  const listed = filter.events as readonly MemberOf<T>[]
  checkOptionNames(`handler '${name}'`, options, onNames)
  checkOptions(name, options)
  if (listed.some(isCommand)) checkCommandHandler(name, filter, options)
  const run = handlerFunction(name, handler as unknown as Handler<Event>)
  return Object.freeze({
    ...filter,
    name,
    kind: 'on' as const,
    events: listed,
    schedule: undefined,
    options,
    run,
  })
}

/**
 * Declares a handler that a schedule fires: a cron pattern of five or six fields, in UTC unless `timezone` says otherwise.
 * Firing and the next due time commit together; what was missed while nothing ran fires once. The event's id is
 * `name@scheduled`. Throws `CRON_INVALID` for a pattern that is none.
 */
export function every<States extends StateSchemas = Record<never, never>>(
  pattern: string,
  options: EveryOptions<States>,
  handler: Handler<Event<Tick>, States>,
): HandlerDefinition<States, never> {
  const name = checkHandlerName(options?.name)
  checkOptionNames(`every '${name}'`, options, everyNames)
  checkOptions(name, options)
  const schedule = { pattern, timezone: options.timezone ?? 'UTC' }
  nextFiring(schedule, 0, name)
  const run = handlerFunction(name, handler as unknown as Handler<Event>)
  return Object.freeze({
    name,
    kind: 'every' as const,
    events: [],
    schedule,
    // What fired before there was such a schedule is none of its firings.
    options: { ...options, from: 'now' as const },
    run,
  })
}

/**
 * The first time after `afterMs` at which a schedule fires, in milliseconds since 1970 UTC; undefined when it never does
 * again. Throws `CRON_INVALID` for a pattern or a time zone that is none.
 */
export function nextFiring(schedule: Schedule, afterMs: number, name: string): number | undefined {
  try {
    return new Cron(schedule.pattern, { timezone: schedule.timezone, paused: true })
      .nextRun(new Date(afterMs))
      ?.getTime()
  } catch (cause) {
    throw new MillraceError(
      'CRON_INVALID',
      `'${schedule.pattern}' in '${schedule.timezone}' is no schedule.`,
      {
        where: `every '${name}'`,
        fix: "Use five fields (minute hour day month weekday), such as '0 3 * * *', and an IANA time zone.",
        cause,
      },
    )
  }
}

function checkedEvents(
  name: string,
  events: AnyEventType | readonly AnyEventType[] | EventFilter,
): CheckedFilter {
  const listed: readonly unknown[] = Array.isArray(events) ? events : [events]
  if (listed.length > 0 && listed.every(isDeclared)) return { events: listed as readonly AnyEventType[] }
  if (typeof events === 'object' && events !== null && !Array.isArray(events)) {
    return checkFilter(name, events as EventFilter)
  }
  throw new TypeError(
    `on '${name}': the first argument must be one or more event types made by event(), or a filter`,
  )
}

/** The command that a handler answers; undefined for a handler of events, and for that of rules, which answers nobody. */
export function commandOf({
  name,
  events,
}: Pick<HandlerDefinition, 'name' | 'events'>): AnyCommandType | undefined {
  const [only] = name === rulesHandler ? [] : events
  return only !== undefined && isCommand(only) ? only : undefined
}

function checkCommandHandler(
  name: string,
  { events, condition }: CheckedFilter,
  { catchUp, key }: OnOptions<StateSchemas>,
): void {
  if (events.length > 1) {
    throw new TypeError(`on '${name}': a command is handled alone; give each a handler of its own`)
  }
  if (condition !== undefined) {
    throw new TypeError(`on '${name}': a command is answered whatever it holds; decide in the handler`)
  }
  if (catchUp === 'silent') {
    throw new TypeError(`on '${name}': a command cannot be handled silently, since its caller waits`)
  }
  if (key !== undefined) {
    throw new TypeError(`on '${name}': a command is handled by its own key, where its result is kept`)
  }
}

const namePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/

function isName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= 128 && namePattern.test(name)
}

function checkHandlerName(name: unknown): string {
  if (isName(name)) return name
  throw new TypeError(
    `'${String(name)}' is no handler name; give 'name' as words of letters, digits, '-' and '_'`,
  )
}

const ofEvery = {
  name: true,
  group: true,
  state: true,
  retry: true,
  timeoutMs: true,
  whenExhausted: true,
} as const
const onNames = optionNames<OnOptions>({
  ...ofEvery,
  renamedFrom: true,
  key: true,
  from: true,
  catchUp: true,
  concurrency: true,
})
const everyNames = optionNames<EveryOptions>({ ...ofEvery, timezone: true })
const retryNames = optionNames<RetryOptions>({ attempts: true, baseMs: true, maxMs: true })

function checkOptions(name: string, options: OnOptions<StateSchemas>): void {
  checkOptionNames(`handler '${name}': retry`, options.retry, retryNames)
  checkNumbers(name, options)
  const { from, catchUp, whenExhausted, group, renamedFrom } = options
  if (from instanceof Date ? Number.isNaN(from.getTime()) : ![undefined, 'start', 'now'].includes(from)) {
    throw new TypeError(`handler '${name}': 'from' must be 'start', 'now' or a valid Date`)
  }
  if (![undefined, 'silent', 'live'].includes(catchUp)) {
    throw new TypeError(`handler '${name}': 'catchUp' must be 'silent' or 'live'`)
  }
  if (![undefined, 'skip', 'park'].includes(whenExhausted)) {
    throw new TypeError(`handler '${name}': 'whenExhausted' must be 'skip' or 'park'`)
  }
  if (renamedFrom !== undefined && (!isName(renamedFrom) || renamedFrom === name)) {
    throw new TypeError(`handler '${name}': 'renamedFrom' must be the name that it had before`)
  }
  if (options.key !== undefined && typeof options.key !== 'function') {
    throw new TypeError(`handler '${name}': 'key' must be a function from the data to a string`)
  }
  if (group !== undefined && !isName(group)) {
    throw new TypeError(`handler '${name}': 'group' must be words of letters, digits, '-' and '_'`)
  }
  for (const [state, schema] of Object.entries(options.state ?? {})) {
    if (!namePattern.test(state) || typeof schema?.['~standard']?.validate !== 'function') {
      throw new TypeError(
        `handler '${name}': state '${state}' must be a Standard Schema validator under a plain name`,
      )
    }
  }
}

function checkNumbers(name: string, { retry, timeoutMs, concurrency }: OnOptions<StateSchemas>): void {
  const counts = { 'retry.attempts': retry?.attempts, concurrency }
  for (const [option, value] of Object.entries(counts)) {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= 1)) {
      throw new TypeError(`handler '${name}': '${option}' must be a whole number, at least 1`)
    }
  }
  const durations = { 'retry.baseMs': retry?.baseMs, 'retry.maxMs': retry?.maxMs, timeoutMs }
  for (const [option, value] of Object.entries(durations)) checkDuration(`handler '${name}'`, option, value)
}

function handlerFunction(
  name: string,
  handler: Handler<Event, StateSchemas>,
): HandlerFunction<Event, StateSchemas> {
  const form =
    typeof handler === 'object' && handler !== null && 'default' in handler ? handler.default : handler
  if (typeof form === 'function') return form
  if (typeof form?.handle === 'function') return (event, ctx) => form.handle(event, ctx)
  throw new TypeError(
    `handler '${name}' must be a function, an object with handle(), or a module exporting one as default`,
  )
}
