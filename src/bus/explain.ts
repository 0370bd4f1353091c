import { messageOf } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { type ExplainedCondition, type ExplainedPattern, explainFilter } from '../routing/index.ts'
import { isFor } from './addressing.ts'
import type { HandlerDefinition } from './definitions.ts'
import {
  CompiledRules,
  type CompileExpression,
  conditionOptions,
  isDecided,
  noDecision,
  type RuleCompileTools,
} from './rules/compiled-rules.ts'
import type { Rule } from './rules/rule.ts'
import { type RuleBook, rulesInOrder } from './rules/rule-book.ts'

/** One thing that a handler or a rule asks of an event, and whether it holds. */
export interface RouteCondition extends Omit<ExplainedCondition, 'path'> {
  /** What is asked about: `type`, `topic`, `recipient`, a path of the event, `when`, `rules` or `enabled`. */
  readonly what: string
  /** Why it could not be asked. */
  readonly problem?: string
}

/** How a handler or a rule takes an event. */
export interface RouteMatch {
  readonly name: string
  readonly matches: boolean
  /** It is of a type that is wanted and does not match, and one condition alone is the reason. */
  readonly nearly: boolean
  readonly conditions: readonly RouteCondition[]
}

/** Where an event goes, and why. */
export interface Route {
  readonly topic: string
  readonly handlers: readonly RouteMatch[]
  readonly rules: readonly (RouteMatch & { readonly acts: boolean })[]
  /** The rule by which the handlers of the topic do not see the event. */
  readonly hiddenBy?: string
}

/** An event to ask about: a CloudEvent of which only the type must be given. */
export type RoutedEvent = Partial<Event> & Pick<Event, 'type'>

/** What an event is held against. */
export interface RouteTools extends RuleCompileTools {
  readonly topic: string
  readonly handlers: readonly HandlerDefinition[]
  readonly book: RuleBook
  topicsOf(definition: HandlerDefinition): readonly string[]
}

/** Says which handlers and rules take an event, which nearly do, and which condition it is that fails. Nothing is done. */
export function explainRoute(given: Event, tools: RouteTools): Route {
  const decision = isDecided(given) ? noDecision : new CompiledRules(tools.book, tools).decide(given)
  const { matched, acting, hiddenBy } = decision
  const event = tools.view(given)
  const rules = rulesInOrder(tools.book).map((rule) => {
    const conditions = conditionsOfRule(rule, event, tools.compile)
    const match = matchOf(rule.name, conditions)
    return { ...match, matches: matched.includes(rule), acts: acting.includes(rule) }
  })
  const handlers = tools.handlers
    .filter(({ kind }) => kind === 'on')
    .map((definition) => matchOf(definition.name, conditionsOfHandler(definition, event, hiddenBy, tools)))
  return { topic: tools.topic, handlers, rules, ...(hiddenBy === undefined ? {} : { hiddenBy }) }
}

function matchOf(name: string, conditions: readonly RouteCondition[]): RouteMatch {
  const failing = conditions.filter(({ holds }) => !holds)
  const nearly = failing.length === 1 && failing[0]?.what !== 'type' && conditions.length > 1
  return { name, matches: failing.length === 0, nearly, conditions }
}

function conditionsOfHandler(
  definition: HandlerDefinition,
  event: Event,
  hiddenBy: string | undefined,
  tools: RouteTools,
): readonly RouteCondition[] {
  const { name, options, condition } = definition
  const types = definition.events.map(({ type }) => type)
  const topics = tools.topicsOf(definition)
  const conditions: RouteCondition[] = [
    { what: 'type', wanted: types, found: event.type, holds: types.includes(event.type) },
    { what: 'topic', wanted: topics, found: tools.topic, holds: topics.includes(tools.topic) },
  ]
  if (event.millraceto !== undefined) {
    const holds = isFor(event, [name, options.renamedFrom])
    conditions.push({ what: 'recipient', wanted: name, found: event.millraceto, holds })
  }
  // What is sent to one handler is not filtered.
  if (event.millraceto !== undefined) return conditions
  conditions.push(...conditionsOfPattern(condition?.pattern, event))
  if (condition?.when !== undefined) {
    const where = { variables: ['event'], where: `handler '${name}', when` }
    conditions.push(
      conditionOfExpression(condition.when, event, () => tools.compile(condition.when ?? '', where)),
    )
  }
  if (hiddenBy !== undefined) {
    conditions.push({ what: 'rules', wanted: 'no rule that hides the event', found: hiddenBy, holds: false })
  }
  return conditions
}

function conditionsOfRule(rule: Rule, event: Event, compile: CompileExpression): readonly RouteCondition[] {
  const conditions: RouteCondition[] = []
  if (rule.enabled === false) conditions.push({ what: 'enabled', wanted: true, found: false, holds: false })
  conditions.push(
    ...conditionsOfPattern(rule.pattern as Readonly<Record<string, unknown>> | undefined, event),
  )
  const { when } = rule
  if (when !== undefined) {
    conditions.push(conditionOfExpression(when, event, () => compile(when, conditionOptions(rule))))
  }
  return conditions
}

function conditionsOfPattern(
  pattern: Readonly<Record<string, unknown>> | undefined,
  event: Event,
): readonly RouteCondition[] {
  if (pattern === undefined) return []
  const explained = explainedPattern(pattern, event)
  if (explained instanceof Error) {
    const problem = messageOf(explained)
    return [{ what: 'pattern', wanted: pattern, found: undefined, holds: false, problem }]
  }
  const { conditions, apart } = explained
  const told = conditions.map(({ path, ...rest }) => ({ what: path, ...rest }))
  if (!apart) return told
  return [
    ...told,
    { what: 'together', wanted: 'all in one element of an array', found: undefined, holds: false },
  ]
}

/** A rule may hold a pattern that could be compiled when it was put, and cannot be now. */
function explainedPattern(
  pattern: Readonly<Record<string, unknown>>,
  event: Event,
): ExplainedPattern | Error {
  try {
    return explainFilter(pattern, event)
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error))
  }
}

function conditionOfExpression(
  text: string,
  event: Event,
  compile: () => ReturnType<CompileExpression>,
): RouteCondition {
  const asked = { what: 'when', wanted: text }
  try {
    const outcome = compile().evaluate({ event })
    if (!outcome.ok) return { ...asked, found: undefined, holds: false, problem: outcome.problem }
    return { ...asked, found: outcome.value, holds: outcome.value === true }
  } catch (error) {
    return { ...asked, found: undefined, holds: false, problem: messageOf(error) }
  }
}
