import type { SendTarget, SentTo } from '../bus/addressing.ts'
import type { DeadLetters } from '../bus/dead-letters.ts'
import type { EventOfAny, HandlerDefinition, StateSchemas, StateSnapshot } from '../bus/definitions.ts'
import type { Route, RoutedEvent } from '../bus/explain.ts'
import type { BestEffortObserver, BestEffortWatch, WatchOptions } from '../bus/observers.ts'
import type {
  IncomingEvent,
  Published,
  PublishedIn,
  PublishInOptions,
  PublishOptions,
  SendOptions,
} from '../bus/publisher.ts'
import type { RequestOptions, SubmitOptions, Submitted } from '../bus/requests.ts'
import type { Rules } from '../bus/rules/rules.ts'
import type { HandlerStatus, HandlersOverview } from '../bus/status.ts'
import type { AnyCommandType, CommandOutcome, CommandState } from '../core/command.ts'
import type { AnyEventType, DataInputOf } from '../core/event.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { NewStreamEvent, StreamDefinition } from '../eventstore/stream.ts'
import type { AppendOptions, AppendResult } from '../eventstore/streams.ts'
import type { LogEngine } from '../log/port.ts'
import type { App } from './app.ts'

/** Options of `start`. */
export interface StartOptions {
  /** Names the engine: `lmdb:FOLDER` (the default, in `.millrace`), `postgres://…` or `memory:`. Or an engine that is open already. */
  readonly log?: string | LogEngine
  /** Takes log lines, with the shape of a `pino` logger; nothing is logged unless given. */
  readonly logger?: Logger
  /** Time and chance; the system's unless given. */
  readonly runtime?: Runtime
  /** How long stopping waits for running handlers before it aborts them; 10 s unless given. */
  readonly drainMs?: number
  /**
   * Handlers that are gone and of which everything is to be dropped: pending records, parked keys, dead letters, state.
   * Without it those with work pending are `HANDLER_VANISHED`. A name that has left nothing behind is `HANDLER_UNKNOWN`
   * where this process is at work on every partition by the time it has started, and is passed over where it is not; one that is
   * still there is `HANDLER_PRESENT`.
   */
  readonly forget?: readonly string[]
  /** The partition count of a log that this start creates; 16 unless given. */
  readonly partitions?: number
}

/** An application that is running in this process. Its methods can be taken out of it: `const { publish } = running`. */
export interface RunningApp {
  readonly app: App
  /** The engine under it: for readers such as the platform's port. Closed by {@link RunningApp.stop} when it was opened here. */
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly logger: Logger
  /** Validates, then appends an event. Resolves once it is durable. */
  publish<T extends AnyEventType>(type: T, data: DataInputOf<T>, options?: PublishOptions): Promise<Published>
  /**
   * As `publish`, as a part of a transaction that you have opened on the database that the log is in: the event is published if
   * that is committed, and never was if it is rolled back. Takes a transaction of `pg`, `postgres`, `knex`, `kysely` or
   * `drizzle-orm`, or anything with `query(text, values)`. It resolves once the event is part of the transaction, so it has an id and no
   * offset. Events of one transaction keep their order, and each comes behind all that was committed before it was published.
   * `OUTBOX_ABSENT` on another engine than PostgreSQL, `TRANSACTION_INVALID` when the transaction is on another database or none is open.
   */
  publishIn<T extends AnyEventType>(
    transaction: unknown,
    type: T,
    data: DataInputOf<T>,
    options?: PublishInOptions,
  ): Promise<PublishedIn>
  /**
   * As `publish`, for one handler alone, given itself or by name: every other handler passes the event over. It is in the
   * topic of its type, in order with the other events of its key, and everything that holds of these holds of it. With
   * `wait: 'handled'` it waits for that handler. `HANDLER_UNKNOWN` when the application has no such handler,
   * `EVENT_NOT_HANDLED` when it does not handle the type.
   */
  send<Target extends SendTarget | string, T extends SentTo<Target>>(
    handler: Target,
    type: T,
    data: DataInputOf<T>,
    options?: SendOptions,
  ): Promise<Published>
  /**
   * Tells an observer in this process of events that this process has published or emitted, once they are durable: best
   * effort. Nothing waits for it, and nothing of it is kept: it is not told of what other processes append, nor of what was
   * before or is lost in a crash; it is told once, whatever it does; there is no order across partitions; and while too many
   * wait for it, further ones are dropped. All of that is counted, and logged. What must happen belongs in a handler.
   */
  watch<const T extends AnyEventType | readonly AnyEventType[]>(
    types: T,
    observer: BestEffortObserver<EventOfAny<T>>,
    options?: WatchOptions,
  ): BestEffortWatch
  /**
   * Takes events from outside, such as CloudEvents of an HTTP request: each must be of a type that the application
   * knows, and is validated like any other. All of them are appended in one step, or none.
   */
  accept(
    events: readonly IncomingEvent[],
    options?: { readonly topic?: string },
  ): Promise<readonly Published[]>
  /**
   * Publishes a command and waits for its result, whichever process handles it. Resolves with
   * `{ ok: true, result }`, or with `{ ok: false, failure }` when the handler returned `failed(…)`. The same `id` again gives
   * the same outcome. Rejects with `HANDLER_FAILED` when the handler gave up (its dead letter is open), with `WAIT_TIMEOUT`
   * after `waitTimeoutMs` (the command is durable; `facts.resultId` names its result, to be fetched later), and with
   * `COMMAND_UNHANDLED` when no handler of this application answers it.
   */
  request<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: RequestOptions,
  ): Promise<CommandOutcome<C>>
  /**
   * Publishes a command and does not wait: resolves once it is durable, with the id by which its result is fetched. A method
   * of its own beside `request`, so that what it gives never depends on the value of an option.
   */
  submit<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: SubmitOptions,
  ): Promise<Submitted>
  /**
   * How a command stands, by the id that `submit` gave: `{ pending: true }`, or its outcome. Kept for `resultTtlMs` of the
   * command; `RESULT_UNKNOWN` when it never was there or its time is over, `HANDLER_FAILED` while its dead letter is open or
   * once that was discarded. With the command, the result has its type.
   */
  result<C extends AnyCommandType>(command: C, id: string): Promise<CommandState<C>>
  result(id: string): Promise<CommandState<AnyCommandType>>
  /**
   * The state that a handler keeps for a key, as it was last committed, from whichever process owns the key.
   * `OWNER_UNREACHABLE` when nobody answers in time.
   */
  read<States extends StateSchemas>(
    handler: HandlerDefinition<States>,
    key: string,
  ): Promise<StateSnapshot<States>>
  /**
   * Appends events to the stream of an id: all of them or none, with the next versions of the stream. Resolves once they are durable.
   * It is decided by the stream's owner, whichever process that is: with `expectedVersion`, only if that is its version then; otherwise it is
   * `VERSION_CONFLICT`, whose `facts` have the version that it has, and nothing is appended. With an `id`, the same append sent again
   * gives the same answer. `STREAM_UNKNOWN` for a stream that the application does not list, `APPEND_INVALID` for what cannot be appended, and
   * `WAIT_TIMEOUT` when the owner has not answered in `waitTimeoutMs`: it may still be done, and sending it again with its `id` tells.
   */
  append<T extends AnyEventType>(
    stream: StreamDefinition<T>,
    id: string,
    events: readonly NewStreamEvent<T>[],
    options?: AppendOptions,
  ): Promise<AppendResult>
  /**
   * How many events were appended to the stream of an id, as its owner has it: 0 for none. On engines without `fencedReads` a process
   * that was replaced as the owner, and does not know it yet, may tell an older version; an append that expects that is refused.
   * `OWNER_UNREACHABLE` when nobody answers in time.
   */
  streamVersion(stream: StreamDefinition, id: string): Promise<number>
  /**
   * Where an event would go and why: which handlers and rules take it, which nearly do, and which condition it is that fails. Nothing
   * is published. What is not given of the event is filled in as for one that is published now.
   */
  route(event: RoutedEvent): Promise<Route>
  /** The dead letters that are open: to look at, to hand back to their handlers, to give up. */
  readonly deadLetters: DeadLetters
  /** The rules of the application: data that is created, changed, tried and switched off while it runs. */
  readonly rules: Rules
  /** What every handler is doing in this process, over the partitions that are owned here: lag, in flight, parked, attempts. */
  status(): Promise<readonly HandlerStatus[]>
  /**
   * What every handler is doing in all processes of the application, and which of them owns what: the owners are asked. It
   * names the partitions that nobody answers for.
   */
  overview(): Promise<HandlersOverview>
  /** Whether it takes work: true from the moment `start` resolves until stopping begins. */
  readonly ready: boolean
  /**
   * Resolves once every record that is in the log is handled or dead-lettered, or held until it is redriven, by every
   * handler owned here, and so is everything that these have emitted. What is delayed is not waited for. While the log fails,
   * and while a partition is taken anew because one of its commits failed, it goes on waiting; and so it does for a key whose
   * attempt has timed out and does not end (`HANDLER_STUCK`), which `signal` bounds.
   */
  settled(signal?: AbortSignal): Promise<void>
  /**
   * Stops: takes nothing new, lets running handlers finish or aborts them at `drainMs`, commits, closes. What was aborted
   * is handled again at the next start. Stopping twice is fine; `now: true` does not wait.
   */
  stop(options?: { readonly now?: boolean }): Promise<void>
}
