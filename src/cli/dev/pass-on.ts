import { type Agent, request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import type { MillraceError } from '../../core/errors.ts'
import { problemOf, problemType, retryAfterSeconds } from '../../gateway/problem.ts'
import type { Passing, Traffic } from './traffic.ts'
import { unavailable } from './waiting-line.ts'

/** A port of a version of the application, on loopback. */
export interface Upstream {
  readonly port: number
  readonly agent: Agent
}

/** Headers that are about one connection, and not for the next. */
const ofConnection = new Set([
  'connection',
  'expect',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])
const bodiless = new Set(['GET', 'HEAD', 'DELETE', 'OPTIONS', 'TRACE'])

/** Passes a request on as it is, and its answer back; both as they come, so that nothing is kept in memory. */
export function passOn(
  request: IncomingMessage,
  response: ServerResponse,
  { port, agent }: Upstream,
  traffic: Traffic,
): void {
  const { method = 'GET', url: path = '/' } = request
  const upstream = httpRequest({
    host: '127.0.0.1',
    port,
    agent,
    method,
    path,
    headers: requestHeaders(request, method),
  })
  const passing: Passing = { cut: () => upstream.destroy(new Error('The application waits no longer.')) }
  traffic.begin(passing)
  upstream.on('response', (answer) => {
    traffic.answered(passing)
    response.writeHead(answer.statusCode ?? 502, answer.statusMessage, endToEnd(answer.rawHeaders))
    response.flushHeaders()
    answer.pipe(response)
    answer.on('error', () => response.destroy())
  })
  upstream.on('error', () => {
    if (!response.headersSent) answerProblem(response, broken(method))
    else if (!response.writableEnded) response.destroy()
  })
  upstream.on('close', () => {
    request.unpipe(upstream)
    traffic.end(passing)
  })
  response.on('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  response.on('error', () => upstream.destroy())
  request.pipe(upstream)
}

/** Answers with a problem document. */
export function answerProblem(response: ServerResponse, error: MillraceError): void {
  const body = JSON.stringify(problemOf(error))
  const retryAfter = retryAfterSeconds(error.status)
  response
    .writeHead(error.status, {
      'content-type': problemType,
      'content-length': Buffer.byteLength(body),
      ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
    })
    .end(body)
}

function requestHeaders({ rawHeaders, headers }: IncomingMessage, method: string): string[] {
  const passed = endToEnd(rawHeaders)
  if (headers['transfer-encoding'] !== undefined) passed.push('transfer-encoding', 'chunked')
  else if (headers['content-length'] === undefined && !bodiless.has(method))
    passed.push('content-length', '0')
  return passed
}

function endToEnd(raw: readonly string[]): string[] {
  const kept: string[] = []
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const [name = '', value = ''] = [raw[index], raw[index + 1]]
    if (!ofConnection.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}

function broken(method: string): MillraceError {
  const safe = method === 'GET' || method === 'HEAD'
  const more = safe ? '' : ' Whether it took the request is not known.'
  return unavailable(`The application ended before it had answered.${more}`, {
    fix: safe
      ? 'Send it again after a moment.'
      : 'Send it again after a moment; an event with the same source and id is taken once.',
  })
}
