import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import { isInternalTopic } from '../bus/internal-topics.ts'
import type { Published } from '../bus/publisher.ts'
import { resultIdOf } from '../bus/results.ts'
import { isCommand } from '../core/command.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import { makeBackup } from './backups.ts'
import {
  discardDeadLetters,
  groupDeadLetters,
  listDeadLetters,
  redriveDeadLetters,
  showDeadLetter,
} from './dead-letters.ts'
import { readEvents } from './event-page.ts'
import { eventsOf } from './http-events.ts'
import { defaultDrainMs, type Listening, listen } from './listen.ts'
import { LiveEvents } from './live/live-events.ts'
import { checkListenHost, checkRequestHost } from './loopback.ts'
import { parameters } from './parameters.ts'
import { retryAfterSeconds } from './problem.ts'
import type { RequestRoom } from './request-room.ts'
import { giveResult, resultsPath } from './results.ts'
import {
  changeRule,
  explainEvent,
  listRuleChanges,
  listRules,
  putRules,
  setRulePolicy,
  showRule,
  tryRules,
} from './rules.ts'
import { createServer, type GatewayServer, withHead } from './server.ts'
import { appendToStream, giveStreamVersion } from './streams.ts'

/** Options of {@link servePlatform}. */
export interface PlatformOptions {
  /** 4400 unless given; 0 lets the system choose a free one. */
  readonly port?: number
  /** `127.0.0.1` unless given. Loopback only: the port asks for no credentials. */
  readonly host?: string
  /** The most bytes of one request's body; 4 MiB unless given. */
  readonly maxBodyBytes?: number
  /** How long closing waits for requests in flight before it cuts them off; 10 s unless given. */
  readonly drainMs?: number
}

const platformNames = optionNames<PlatformOptions>({
  port: true,
  host: true,
  maxBodyBytes: true,
  drainMs: true,
})
const defaultMaxBodyBytes = 4 * 1024 * 1024

/** Gives what is answered as JSON. */
type Answer = (
  running: RunningApp,
  request: FastifyRequest,
  reply: FastifyReply,
  room: RequestRoom,
) => unknown

const routes: readonly { readonly method: 'GET' | 'POST'; readonly path: string; readonly answer: Answer }[] =
  [
    { method: 'POST', path: '/events', answer: takeEvents },
    { method: 'GET', path: '/events', answer: giveEvents },
    { method: 'GET', path: '/topics', answer: listTopics },
    { method: 'GET', path: '/handlers', answer: listHandlers },
    { method: 'GET', path: '/dead-letters', answer: listDeadLetters },
    { method: 'GET', path: '/dead-letters/groups', answer: groupDeadLetters },
    { method: 'GET', path: '/dead-letters/show', answer: showDeadLetter },
    { method: 'POST', path: '/dead-letters/redrive', answer: redriveDeadLetters },
    { method: 'POST', path: '/dead-letters/discard', answer: discardDeadLetters },
    { method: 'GET', path: `${resultsPath}:id`, answer: giveResult },
    { method: 'GET', path: '/streams/version', answer: giveStreamVersion },
    { method: 'POST', path: '/streams/append', answer: appendToStream },
    { method: 'GET', path: '/rules', answer: listRules },
    { method: 'POST', path: '/rules', answer: putRules },
    { method: 'GET', path: '/rules/show', answer: showRule },
    { method: 'GET', path: '/rules/changes', answer: listRuleChanges },
    { method: 'POST', path: '/rules/remove', answer: changeRule('remove') },
    { method: 'POST', path: '/rules/enable', answer: changeRule('enable') },
    { method: 'POST', path: '/rules/disable', answer: changeRule('disable') },
    { method: 'POST', path: '/rules/policy', answer: setRulePolicy },
    { method: 'POST', path: '/rules/try', answer: tryRules },
    { method: 'POST', path: '/route', answer: explainEvent },
    { method: 'POST', path: '/backups', answer: makeBackup },
    { method: 'GET', path: '/health/live', answer: () => ({ status: 'live' }) },
    { method: 'GET', path: '/health/ready', answer: readiness },
  ]

/**
 * Serves the platform's port of a running application: events in and out, topics, handlers, dead letters and health, as
 * JSON. Errors are problem details (RFC 9457), also of requests that are none. Nothing of the application is public here:
 * it listens on loopback and answers requests for loopback names only.
 *
 * Rejects with `HOST_NOT_ALLOWED` for any other host and with `PORT_IN_USE` where the port is taken.
 */
export async function servePlatform(running: RunningApp, options: PlatformOptions = {}): Promise<Listening> {
  checkOptionNames('servePlatform', options, platformNames)
  const {
    port = 4400,
    host = '127.0.0.1',
    maxBodyBytes = defaultMaxBodyBytes,
    drainMs = defaultDrainMs,
  } = options
  checkListenHost(host)
  const server = await createServer({ running, maxBodyBytes, methodsOf })
  server.fastify.addHook('onRequest', (request, _reply, next) => {
    checkRequestHost(request.headers.host)
    next()
  })
  addRoutes(server, running)
  addLiveEvents(server.fastify, running)
  return listen(server, { running, host, port, drainMs })
}

function addRoutes({ fastify, room }: GatewayServer, running: RunningApp): void {
  for (const { method, path, answer } of routes) {
    fastify.route({
      method: [...withHead(method)],
      url: path,
      handler: (request, reply) => answer(running, request, reply, room),
    })
  }
}

const livePath = '/events/live'

function addLiveEvents(fastify: FastifyInstance, running: RunningApp): void {
  const live = new LiveEvents(running)
  fastify.addHook('preClose', async () => live.close())
  fastify.route({
    method: [...withHead('GET')],
    url: livePath,
    handler: (request, reply) => live.answer(request, reply),
  })
}

function methodsOf(path: string): readonly string[] {
  if (path === livePath) return withHead('GET')
  const isResult = path.startsWith(resultsPath) && !path.slice(resultsPath.length).includes('/')
  const pattern = isResult ? `${resultsPath}:id` : path
  return routes.filter((route) => route.path === pattern).flatMap(({ method }) => withHead(method))
}

/** By `then`, and keeps nothing of the events: what most requests come for waits for the disk in large numbers. */
function takeEvents(running: RunningApp, request: FastifyRequest, reply: FastifyReply): Promise<object> {
  const { topic } = parameters(request.query, ['topic'])
  const body = Buffer.isBuffer(request.body) ? request.body : new Uint8Array()
  const events = eventsOf(request.raw, body)
  const areCommands = events.map(({ type }) => isCommandType(running, type))
  return running.accept(events, topic === undefined ? {} : { topic }).then((published) => {
    reply.code(202)
    const records = published.map((place, index) => acceptedAt(place, areCommands[index] === true))
    return { accepted: records.length, records }
  })
}

/** What is told of a record; a member that is undefined is left out by JSON. */
function acceptedAt(place: Published, isCommand: boolean) {
  return {
    topic: place.topic,
    partition: place.partition,
    offset: place.offset,
    duplicate: place.duplicate || undefined,
    resultId: isCommand ? resultIdOf(place) : undefined,
  }
}

function isCommandType(running: RunningApp, name: string): boolean {
  const type = running.app.events.get(name)
  return type !== undefined && isCommand(type)
}

function giveEvents(running: RunningApp, request: FastifyRequest, reply: FastifyReply): Promise<string> {
  reply.type('application/json')
  return readEvents(running, request.query)
}

async function listTopics(running: RunningApp) {
  const { engine } = running
  const topics = await engine.listTopics()
  const listed = topics.map(async ({ name, options }) => ({
    name,
    internal: isInternalTopic(name),
    retention: options.retention ?? {},
    partitions: await Promise.all(
      Array.from({ length: engine.partitions }, async (_, partition) => ({
        partition,
        ...(await engine.bounds({ topic: name, partition })),
      })),
    ),
  }))
  return { topics: await Promise.all(listed) }
}

function listHandlers(running: RunningApp) {
  return running.overview()
}

function readiness(running: RunningApp, _request: FastifyRequest, reply: FastifyReply, room: RequestRoom) {
  if (running.ready && !room.closing) return { status: 'ready' }
  reply.code(503).header('retry-after', String(retryAfterSeconds(503)))
  return { status: 'stopping' }
}
