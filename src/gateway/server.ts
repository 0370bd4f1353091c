import type { Duplex } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import { MillraceError } from '../core/errors.ts'
import { problemOf, problemType, reportable, retryAfterSeconds } from './problem.ts'
import { RequestRoom } from './request-room.ts'

/** What an HTTP server of the gateway is made with. */
export interface ServerOptions {
  readonly running: RunningApp
  readonly maxBodyBytes: number
  /** The methods that a path has, for 405; none for a path that is unknown. */
  readonly methodsOf: (path: string) => readonly string[]
}

/** An HTTP server whose errors are problem documents and whose requests are bounded; it has no routes yet. */
export interface GatewayServer {
  readonly fastify: FastifyInstance
  readonly room: RequestRoom
}

// How long a client may take to send a request; a slower one would keep its room for ever.
const requestTimeoutMs = 60_000
const maxPathParameterLength = 4096

/** Makes a server. Fastify is loaded here and not before. */
export async function createServer(options: ServerOptions): Promise<GatewayServer> {
  const { running, maxBodyBytes } = options
  const { fastify: create, LogController } = await import('fastify')
  const log = new LogController({ disableRequestLogging: true })
  log.streamError = (error, request) => logStreamError(running, error, request)
  const answerError = (error: unknown, request: FastifyRequest, reply: FastifyReply) =>
    sendProblem(reply, reportAndLog(running, error, request, maxBodyBytes))
  const fastify = create({
    bodyLimit: maxBodyBytes,
    // Fastify's own HEAD routes cannot answer with a Response; see withHead.
    exposeHeadRoutes: false,
    logController: log,
    requestTimeout: requestTimeoutMs,
    // While closing, requests on open connections are still answered, each with `connection: close`.
    return503OnClosing: false,
    routerOptions: { maxParamLength: maxPathParameterLength },
    frameworkErrors: (error, request, reply) => void answerError(error, request, reply),
    clientErrorHandler: answerBrokenRequest,
  })
  fastify.removeAllContentTypeParsers()
  // Every type, and none. What is found by a pattern is found faster the next time; what `*` stands for is not.
  fastify.addContentTypeParser(/^/, { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
  fastify.setErrorHandler(answerError)
  fastify.setNotFoundHandler((request, reply) => sendProblem(reply, notFound(request, reply, options)))
  const room = new RequestRoom(maxBodyBytes)
  // A hook that waits for nothing: with a promise, it would cost as much as parsing a body.
  fastify.addHook('onRequest', (request, reply, next) => {
    room.enter(request.raw, reply.raw)
    next()
  })
  return { fastify, room }
}

/** The methods that a route of one method answers: with `GET`, `HEAD` too. */
export function withHead<Method extends string>(method: Method): readonly (Method | 'HEAD')[] {
  return method === 'GET' ? ['HEAD', method] : [method]
}

function sendProblem(reply: FastifyReply, error: MillraceError): FastifyReply {
  const retryAfter = retryAfterSeconds(error.status)
  if (retryAfter !== undefined) reply.header('retry-after', String(retryAfter))
  return reply
    .code(error.status)
    .type(problemType)
    .send(JSON.stringify(problemOf(error)))
}

function reportAndLog(
  running: RunningApp,
  error: unknown,
  request: FastifyRequest,
  maxBodyBytes: number,
): MillraceError {
  const reported = reportable(error, { maxBodyBytes })
  // Of a client that has gone there is nothing to report.
  if (reported.status >= 500 && !request.raw.socket.destroyed) {
    running.logger.error({ err: error, method: request.method, url: request.url }, 'A request failed.')
  }
  return reported
}

/** A body that fails after its headers went out can only be cut short: there is no status left to say so with. */
function logStreamError(running: RunningApp, error: Error, request: FastifyRequest): void {
  if ('code' in error && error.code === 'ERR_STREAM_PREMATURE_CLOSE') return
  running.logger.error({ err: error, method: request.method, url: request.url }, 'An answer was cut short.')
}

function notFound(request: FastifyRequest, reply: FastifyReply, options: ServerOptions): MillraceError {
  const path = request.url.replace(/[?#].*$/s, '')
  const methods = options.methodsOf(path)
  if (methods.length === 0) {
    return new MillraceError('NOT_FOUND', `There is nothing at '${path}'.`, {
      where: 'path',
      fix: 'Check the path and the port: the application and the platform have one each.',
    })
  }
  reply.header('allow', methods.join(', '))
  return new MillraceError('METHOD_NOT_ALLOWED', `'${path}' does not take ${request.method}.`, {
    where: 'method',
    fix: `Use ${methods.filter((method) => method !== 'HEAD').join(' or ')}.`,
  })
}

/** Answers bytes that are no HTTP request, for which there is no reply object. */
export function answerBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const reported = new MillraceError('REQUEST_INVALID', 'The request is not well-formed HTTP.', {
    fix: 'Check the request line and the headers; all headers together have at most 16 KiB.',
  })
  const body = JSON.stringify(problemOf(reported))
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: ${problemType}\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  )
}
