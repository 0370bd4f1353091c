import type { FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import type { RoutedEvent } from '../bus/explain.ts'
import { checkPolicy, type RulePolicy } from '../bus/rules/rule.ts'
import type { RuleTrialOptions } from '../bus/rules/rule-trial.ts'
import type { RuleChangeNote } from '../bus/rules/rules.ts'
import { bodyInvalid, jsonBody, textMember } from './json-body.ts'
import { integer, parameters, required } from './parameters.ts'

const noteMembers = ['by', 'reason'] as const
const maxTried = 1_000_000
const maxChangePage = 1_000

/** `GET /rules`: the rules in the order in which they are tried, with what they did in this process. */
export function listRules(running: RunningApp) {
  return running.rules.list()
}

/** `GET /rules/show?name`: one rule. */
export function showRule(running: RunningApp, request: FastifyRequest) {
  return running.rules.get(required(parameters(request.query, ['name']).name, 'name'))
}

/** `GET /rules/changes?from&limit`: changes in the order in which they were made; `next` is where the next page begins, if there is one. */
export async function listRuleChanges(running: RunningApp, request: FastifyRequest) {
  const { from, limit } = parameters(request.query, ['from', 'limit'])
  const first = integer(from, 'from', { least: 0, most: Number.MAX_SAFE_INTEGER, otherwise: 0 })
  const most = integer(limit, 'limit', { least: 1, most: maxChangePage, otherwise: 100 })
  const all = await running.rules.changes()
  const next = first + most
  const changes = all.slice(first, next).map(({ id, timeMs, change }) => ({ id, timeMs, ...change }))
  return { changes, ...(next < all.length ? { next } : {}) }
}

/** `POST /rules`: creates rules or replaces them, in one change. */
export function putRules(running: RunningApp, request: FastifyRequest) {
  const body = jsonBody(request, ['rules', ...noteMembers])
  const { rules } = body
  if (!Array.isArray(rules) || rules.length === 0)
    throw bodyInvalid('There are no rules.', 'rules', 'a list of rules')
  return running.rules.put(rules, noteOf(body))
}

/** `POST /rules/remove`, `/rules/enable` and `/rules/disable`: changes one rule. */
export function changeRule(what: 'remove' | 'enable' | 'disable') {
  return (running: RunningApp, request: FastifyRequest) => {
    const body = jsonBody(request, ['name', ...noteMembers])
    const name = textMember(body, 'name')
    if (name === undefined)
      throw bodyInvalid('Which rule is meant must be said.', 'name', 'the name of a rule')
    return running.rules[what](name, noteOf(body))
  }
}

/** `POST /rules/policy`: says what happens where several rules match. */
export function setRulePolicy(running: RunningApp, request: FastifyRequest) {
  const body = jsonBody(request, ['policy', ...noteMembers])
  return running.rules.setPolicy(body.policy as RulePolicy, noteOf(body))
}

/** `POST /rules/try`: what rules would have said of past events; nothing is done. */
export function tryRules(running: RunningApp, request: FastifyRequest) {
  const body = jsonBody(request, ['rules', 'policy', 'topic', 'from', 'limit'])
  return running.rules.try(trialOf(body))
}

/** `POST /route`: where an event would go, and why; nothing is published. */
export function explainEvent(running: RunningApp, request: FastifyRequest) {
  const { event } = jsonBody(request, ['event'])
  if (typeof event !== 'object' || event === null || Array.isArray(event)) {
    throw bodyInvalid('The event must be an object.', 'event', 'an event with at least its type')
  }
  if (typeof (event as RoutedEvent).type !== 'string') {
    throw bodyInvalid('The event has no type.', 'event.type', 'an event type, as text')
  }
  return running.route(event as RoutedEvent)
}

function trialOf(body: Readonly<Record<string, unknown>>): RuleTrialOptions {
  const { rules, policy, limit } = body
  if (rules !== undefined && !Array.isArray(rules))
    throw bodyInvalid('The rules must be a list.', 'rules', 'a list')
  const isLimit =
    limit === undefined || (Number.isInteger(limit) && Number(limit) >= 1 && Number(limit) <= maxTried)
  if (!isLimit) throw bodyInvalid('The limit is out of bounds.', 'limit', `an integer from 1 to ${maxTried}`)
  const topic = textMember(body, 'topic')
  const from = textMember(body, 'from')
  const fromMs = from === undefined ? undefined : Date.parse(from)
  if (Number.isNaN(fromMs))
    throw bodyInvalid(`'${from}' is no time.`, 'from', 'a time such as 2026-01-31T00:00:00Z')
  return {
    ...(rules === undefined ? {} : { rules }),
    ...(policy === undefined ? {} : { policy: checkPolicy(policy) }),
    ...(topic === undefined ? {} : { topic }),
    ...(fromMs === undefined ? {} : { fromMs }),
    ...(limit === undefined ? {} : { limit: Number(limit) }),
  }
}

function noteOf(body: Readonly<Record<string, unknown>>): RuleChangeNote {
  const by = textMember(body, 'by')
  const reason = textMember(body, 'reason')
  return { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) }
}
