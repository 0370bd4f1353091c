import type { FastifyReply, FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import type { DeadLetterPage, DeadLetterSelection } from '../bus/dead-letter-list.ts'
import { maxDeadLetterPage } from '../bus/dead-letters.ts'
import { bodyInvalid, flagMember, jsonBody, textMember } from './json-body.ts'
import { integer, parameters, required } from './parameters.ts'

/** `GET /dead-letters?handler&group&limit&from`: a page of those that are open. */
export function listDeadLetters(running: RunningApp, request: FastifyRequest) {
  const { limit, from, ...selection } = parameters(request.query, ['handler', 'group', 'limit', 'from'])
  const most = integer(limit, 'limit', { least: 1, most: maxDeadLetterPage, otherwise: 100 })
  return running.deadLetters.list(selection, { limit: most, ...(from === undefined ? {} : { from }) })
}

/** `GET /dead-letters/groups?handler`: those that are open, by what made them fail. */
export function groupDeadLetters(running: RunningApp, request: FastifyRequest) {
  return running.deadLetters.groups(parameters(request.query, ['handler']))
}

/** `GET /dead-letters/show?id`: one with its event, its stack and its attempts. */
export function showDeadLetter(running: RunningApp, request: FastifyRequest) {
  return running.deadLetters.show(required(parameters(request.query, ['id']).id, 'id'))
}

/** `POST /dead-letters/redrive`: 202 with what was asked of the owners; 200 with what came of it where `wait` is true. */
export async function redriveDeadLetters(running: RunningApp, request: FastifyRequest, reply: FastifyReply) {
  const { selection, page } = parseOrder(request, false)
  const asked = await running.deadLetters.redrive(selection, page)
  reply.code(page.dryRun || page.wait ? 200 : 202)
  return asked
}

/** `POST /dead-letters/discard`: like redriving, with a `reason` that is kept. */
export async function discardDeadLetters(running: RunningApp, request: FastifyRequest, reply: FastifyReply) {
  const { selection, page, reason } = parseOrder(request, true)
  const asked = await running.deadLetters.discard(selection, { ...page, reason })
  reply.code(page.dryRun || page.wait ? 200 : 202)
  return asked
}

interface Order {
  readonly selection: DeadLetterSelection
  readonly page: DeadLetterPage & { readonly dryRun: boolean; readonly wait: boolean }
  readonly reason: string
}

const maxReasonCharacters = 1_000
const selectors = ['id', 'handler', 'group'] as const
const members = [...selectors, 'all', 'from', 'limit', 'dryRun', 'wait'] as const

/** Reads the JSON of an order: what is meant must be said, if only as `"all": true`. */
function parseOrder(request: FastifyRequest, withReason: boolean): Order {
  const body = jsonBody(request, withReason ? [...members, 'reason'] : members)
  const selection: Record<string, string> = {}
  for (const name of selectors) {
    const value = textMember(body, name)
    if (value !== undefined) selection[name] = value
  }
  const isAll = flagMember(body, 'all')
  if (isAll === Object.keys(selection).length > 0)
    throw bodyInvalid(
      'Which dead letters are meant must be said.',
      'body',
      'id, handler, group, or "all": true',
    )
  const { limit = maxDeadLetterPage } = body
  if (!Number.isInteger(limit) || (limit as number) < 1 || (limit as number) > maxDeadLetterPage)
    throw bodyInvalid('The limit is out of bounds.', 'limit', `an integer from 1 to ${maxDeadLetterPage}`)
  const from = textMember(body, 'from')
  const page = {
    limit: limit as number,
    dryRun: flagMember(body, 'dryRun'),
    wait: flagMember(body, 'wait'),
    ...(from === undefined ? {} : { from }),
  }
  const reason = textMember(body, 'reason')?.trim() ?? ''
  if (withReason && (reason === '' || reason.length > maxReasonCharacters))
    throw bodyInvalid('A reason must be given.', 'reason', `1 to ${maxReasonCharacters} characters`)
  return { selection, page, reason }
}
