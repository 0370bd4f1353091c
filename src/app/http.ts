import type { SendTarget, SentTo } from '../bus/addressing.ts'
import type { HandlerDefinition, StateSchemas, StateSnapshot } from '../bus/definitions.ts'
import type {
  Published,
  PublishedIn,
  PublishInOptions,
  PublishOptions,
  SendOptions,
} from '../bus/publisher.ts'
import type { RequestOptions, SubmitOptions, Submitted } from '../bus/requests.ts'
import type { AnyCommandType, CommandOutcome, CommandState } from '../core/command.ts'
import type { AnyEventType, DataInputOf } from '../core/event.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import type { Logger } from '../core/runtime.ts'
import type { OutputOf, Schema } from '../core/schema.ts'
import type { NewStreamEvent, StreamDefinition } from '../eventstore/stream.ts'
import type { AppendOptions, AppendResult } from '../eventstore/streams.ts'

/** The methods that a route can have. */
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

type ParameterNames<Path extends string> = Path extends `${infer Head}/${infer Rest}`
  ? ParameterNames<Head> | ParameterNames<Rest>
  : Path extends `:${infer Name}`
    ? Name
    : never

/** The parameters of a path such as `/airports/:code`, as strings. */
export type PathParameters<Path extends string> = { readonly [Name in ParameterNames<Path>]: string }

/** A request on the application's own port. */
export interface RouteRequest<Path extends string = string, Body = unknown> {
  readonly method: Method
  readonly url: URL
  readonly headers: Headers
  readonly params: PathParameters<Path>
  /** What the body schema gave; undefined for a route without one. */
  readonly body: Body
}

/** What a route has besides its request. */
export interface RouteContext {
  /** Publishes an event; resolves once it is durable. */
  publish<T extends AnyEventType>(type: T, data: DataInputOf<T>, options?: PublishOptions): Promise<Published>
  /** Publishes an event as a part of a transaction on the database of the log; see `RunningApp.publishIn`. */
  publishIn<T extends AnyEventType>(
    transaction: unknown,
    type: T,
    data: DataInputOf<T>,
    options?: PublishInOptions,
  ): Promise<PublishedIn>
  /** Publishes an event for one handler alone; see `RunningApp.send`. */
  send<Target extends SendTarget | string, T extends SentTo<Target>>(
    handler: Target,
    type: T,
    data: DataInputOf<T>,
    options?: SendOptions,
  ): Promise<Published>
  /** Publishes a command and waits for its result; see `RunningApp.request`. */
  request<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: RequestOptions,
  ): Promise<CommandOutcome<C>>
  /** Publishes a command; gives the id by which its result is fetched. See `RunningApp.submit`. */
  submit<C extends AnyCommandType>(
    command: C,
    data: DataInputOf<C>,
    options?: SubmitOptions,
  ): Promise<Submitted>
  /** How a command stands, by the id of its result; see `RunningApp.result`. */
  result<C extends AnyCommandType>(command: C, id: string): Promise<CommandState<C>>
  result(id: string): Promise<CommandState<AnyCommandType>>
  /** The state that a handler keeps for a key, as it was last committed. */
  read<States extends StateSchemas>(
    handler: HandlerDefinition<States>,
    key: string,
  ): Promise<StateSnapshot<States>>
  /** Appends events to a stream, if it has the expected version; see `RunningApp.append`. */
  append<T extends AnyEventType>(
    stream: StreamDefinition<T>,
    id: string,
    events: readonly NewStreamEvent<T>[],
    options?: AppendOptions,
  ): Promise<AppendResult>
  /** The version of a stream; see `RunningApp.streamVersion`. */
  streamVersion(stream: StreamDefinition, id: string): Promise<number>
  /** Aborted when the client has gone or the process stops. */
  readonly signal: AbortSignal
  readonly log: Logger
  /** The time, in milliseconds since 1970 UTC. */
  now(): number
}

/** Options of a route. */
export interface RouteOptions<S extends Schema | undefined = Schema | undefined> {
  /** Validates the JSON body; a body that does not match is answered with `DATA_INVALID` before the handler runs. */
  readonly body?: S
}

/** Answers a request with a web-standard `Response`. */
export type RouteHandler<Path extends string, Body> = (
  request: RouteRequest<Path, Body>,
  ctx: RouteContext,
) => Response | Promise<Response>

/** A route of the application's port, as `http.get` and its siblings made it. */
export interface RouteDefinition {
  readonly method: Method
  readonly path: string
  readonly options: RouteOptions
  readonly handler: RouteHandler<string, unknown>
}

type BodyOf<S> = S extends Schema ? OutputOf<S> : undefined

/** Declares a route of one method. */
export type DeclareRoute = <const Path extends string, S extends Schema | undefined = undefined>(
  path: Path,
  options: { readonly body?: S },
  handler: RouteHandler<Path, BodyOf<S>>,
) => RouteDefinition

/** Declares routes of the application's own port: `http.get('/airports/:code', {}, (request, ctx) => Response.json(…))`. */
export const http: Readonly<Record<'get' | 'post' | 'put' | 'patch' | 'delete', DeclareRoute>> =
  Object.freeze({
    get: declare('GET'),
    post: declare('POST'),
    put: declare('PUT'),
    patch: declare('PATCH'),
    delete: declare('DELETE'),
  })

const routeNames = optionNames<RouteOptions>({ body: true })

function declare(method: Method): DeclareRoute {
  return (path, options, handler) => {
    if (typeof path !== 'string' || !path.startsWith('/')) {
      throw new TypeError(`http.${method.toLowerCase()}: the path must begin with '/', not '${String(path)}'`)
    }
    if (typeof handler !== 'function') {
      throw new TypeError(`http.${method.toLowerCase()} '${path}': the third argument must be a function`)
    }
    checkOptionNames(`http.${method.toLowerCase()} '${path}'`, options, routeNames)
    if (options?.body !== undefined && typeof options.body['~standard']?.validate !== 'function') {
      throw new TypeError(
        `http.${method.toLowerCase()} '${path}': 'body' must be a Standard Schema validator`,
      )
    }
    return Object.freeze({
      method,
      path,
      options: options as RouteOptions,
      handler: handler as RouteHandler<string, unknown>,
    })
  }
}
