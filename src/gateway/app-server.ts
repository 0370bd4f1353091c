import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RouteContext, RouteDefinition, RouteRequest } from '../app/http.ts'
import type { RunningApp } from '../app/running.ts'
import { MillraceError } from '../core/errors.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import { validate } from '../core/schema.ts'
import {
  checkContentEncoding,
  isJson,
  parseJsonBody,
  parseMediaType,
  unsupportedContentType,
} from './body.ts'
import { defaultDrainMs, type Listening, listen } from './listen.ts'
import { createServer, type GatewayServer, withHead } from './server.ts'

/** Options of {@link serveApp}. */
export interface AppServerOptions {
  /** 3000 unless given; 0 lets the system choose a free one. */
  readonly port?: number
  /** `127.0.0.1` unless given. */
  readonly host?: string
  /** The most bytes of one request's body; 1 MiB unless given. */
  readonly maxBodyBytes?: number
  /** How long closing waits for requests in flight before it cuts them off; 10 s unless given. */
  readonly drainMs?: number
}

const appServerNames = optionNames<AppServerOptions>({
  port: true,
  host: true,
  maxBodyBytes: true,
  drainMs: true,
})
const defaultMaxBodyBytes = 1024 * 1024

/**
 * Serves the application's own port: the routes that `http.get` and its siblings declared. A `GET` route answers `HEAD`
 * too. What a route throws is answered as problem details (RFC 9457): a `MillraceError` with its own status, anything else
 * with 500 and nothing of its content, which goes to the log.
 *
 * Rejects with `PORT_IN_USE` where the port is taken and with `APP_INVALID` where two routes are the same.
 */
export async function serveApp(running: RunningApp, options: AppServerOptions = {}): Promise<Listening> {
  checkOptionNames('serveApp', options, appServerNames)
  const {
    port = 3000,
    host = '127.0.0.1',
    maxBodyBytes = defaultMaxBodyBytes,
    drainMs = defaultDrainMs,
  } = options
  const { routes } = running.app
  const patterns = routes.map(({ method, path }) => ({ method, pattern: patternOf(path) }))
  const server = await createServer({
    running,
    maxBodyBytes,
    methodsOf: (path) => methodsOf(patterns, path),
  })
  for (const route of routes) addRoute(server, running, route)
  return listen(server, { running, host, port, drainMs })
}

function addRoute({ fastify }: GatewayServer, running: RunningApp, route: RouteDefinition): void {
  try {
    fastify.route({
      method: [...withHead(route.method)],
      url: route.path,
      handler: (request, reply) => answer(running, route, request, reply),
    })
  } catch (error) {
    throw new MillraceError('APP_INVALID', `The route ${route.method} ${route.path} cannot be served.`, {
      where: `route ${route.method} ${route.path}`,
      fix: 'Give every route a method and path of its own, such as `/orders/:id`.',
      cause: error,
    })
  }
}

async function answer(
  running: RunningApp,
  route: RouteDefinition,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Response> {
  const body = await bodyOf(route, request)
  const routeRequest: RouteRequest = {
    method: route.method,
    url: urlOf(request),
    headers: headersOf(request),
    params: request.params as RouteRequest['params'],
    body,
  }
  const response: unknown = await route.handler(routeRequest, contextOf(running, reply))
  if (!(response instanceof Response)) {
    throw new TypeError(`route ${route.method} ${route.path} must return a Response`)
  }
  if (request.method !== 'HEAD') return response
  await response.body?.cancel()
  return new Response(null, response)
}

async function bodyOf(route: RouteDefinition, request: FastifyRequest): Promise<unknown> {
  const schema = route.options?.body
  if (schema === undefined) return undefined
  checkContentEncoding(request.headers['content-encoding'])
  const type = parseMediaType(request.headers['content-type'])
  if (type === undefined || !isJson(type)) {
    throw unsupportedContentType(
      type === undefined ? 'The request has no content type.' : `'${type.essence}' is not taken.`,
      'Send the body as application/json.',
    )
  }
  const body = Buffer.isBuffer(request.body) ? request.body : new Uint8Array()
  return validate(schema, parseJsonBody(body, type), {
    code: 'DATA_INVALID',
    what: 'The body',
    root: 'body',
    fix: 'Send a body that matches the schema of this route.',
  })
}

function contextOf(running: RunningApp, reply: FastifyReply): RouteContext {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort()
  })
  return {
    publish: (type, data, options) => running.publish(type, data, options),
    publishIn: (transaction, type, data, options) => running.publishIn(transaction, type, data, options),
    send: (handler, type, data, options) => running.send(handler, type, data, options),
    request: (command, data, options) => running.request(command, data, options),
    submit: (command, data, options) => running.submit(command, data, options),
    result: running.result.bind(running),
    read: (handler, key) => running.read(handler, key),
    append: (stream, id, events, options) => running.append(stream, id, events, options),
    streamVersion: (stream, id) => running.streamVersion(stream, id),
    signal: gone.signal,
    log: running.logger,
    now: () => running.runtime.now(),
  }
}

function urlOf({ raw }: FastifyRequest): URL {
  const target = raw.url ?? '/'
  const origin = `http://${raw.headers.host ?? 'localhost'}`
  // Joined as text: resolving `//other/path` against a base would take `other` for the host.
  const url = target.startsWith('/') ? `${origin}${target}` : target
  if (URL.canParse(url)) return new URL(url)
  throw new MillraceError('REQUEST_INVALID', 'The host and the path of the request are no URL.', {
    where: 'header host',
    fix: 'Send a valid host and path.',
  })
}

function headersOf({ raw }: FastifyRequest): Headers {
  const headers = new Headers()
  for (let index = 0; index + 1 < raw.rawHeaders.length; index += 2) {
    headers.append(raw.rawHeaders[index] ?? '', raw.rawHeaders[index + 1] ?? '')
  }
  return headers
}

interface RoutePattern {
  readonly method: string
  readonly pattern: RegExp
}

function methodsOf(patterns: readonly RoutePattern[], path: string): readonly string[] {
  const matching = patterns.filter(({ pattern }) => pattern.test(path))
  return [...new Set(matching.flatMap(({ method }) => withHead(method)))]
}

/** The paths of a route, for telling a wrong method from a wrong path. */
function patternOf(path: string): RegExp {
  const source = path.replace(/[\\^$+?.()|[\]{}]/g, '\\$&').replace(/\*/g, '.*')
  return new RegExp(`^${source.replace(/:[^/]+/g, '[^/]+')}$`)
}
