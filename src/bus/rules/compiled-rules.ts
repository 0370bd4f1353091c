import { isCommand } from '../../core/command.ts'
import { messageOf } from '../../core/errors.ts'
import type { AnyEventType, Event } from '../../core/event.ts'
import { compileFilter, Matcher } from '../../routing/index.ts'
import type { compileExpression, Evaluation, Expression } from '../../rules/expression.ts'
import type { RoutedView } from '../routed-view.ts'
import type { Rule } from './rule.ts'
import { type RuleBook, rulesInOrder } from './rule-book.ts'

/** Compiles expressions; given, because the library of CEL is loaded only where there are rules. */
export type CompileExpression = typeof compileExpression

/** A rule that could not be evaluated on an event. */
export interface RuleFailure {
  readonly rule: string
  readonly problem: string
}

/** What the rules say of one event. */
export interface RuleDecision {
  /** The rules that match, in order. */
  readonly matched: readonly Rule[]
  /** Those of them that act, by the policy. */
  readonly acting: readonly Rule[]
  readonly failures: readonly RuleFailure[]
  /** The rule by which the handlers of the topic do not see the event; undefined where they do. */
  readonly hiddenBy: string | undefined
}

/** A decision of no rules at all. */
export const noDecision: RuleDecision = Object.freeze({
  matched: [],
  acting: [],
  failures: [],
  hiddenBy: undefined,
})

/** What rules are compiled with. */
export interface RuleCompileTools {
  readonly compile: CompileExpression
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly view: RoutedView
}

type Condition = Pick<Expression, 'evaluate'>

/**
 * The rules of one book, compiled: patterns into one index, conditions once each. One that cannot be compiled, though it could when
 * it was put, fails on the events that it is asked about and stops nothing else.
 */
export class CompiledRules {
  readonly #book: RuleBook
  readonly #tools: RuleCompileTools
  readonly #order = new Map<string, number>()
  readonly #conditions = new Map<string, Condition>()
  readonly #index = new Matcher<Rule>()
  /** Rules that every event is held against. */
  readonly #open: Rule[] = []

  constructor(book: RuleBook, tools: RuleCompileTools) {
    this.#book = book
    this.#tools = tools
    const enabled = rulesInOrder(book).filter((rule) => rule.enabled !== false)
    for (const [place, rule] of enabled.entries()) {
      this.#order.set(rule.name, place)
      try {
        this.#add(rule)
      } catch (error) {
        const outcome: Evaluation = { ok: false, problem: messageOf(error) }
        this.#conditions.set(rule.name, { evaluate: () => outcome })
        this.#open.push(rule)
      }
    }
  }

  /** What the rules say of an event; the same for the same event, always. */
  decide(given: Event): RuleDecision {
    const event = this.#tools.view(given)
    const candidates = [...this.#index.match(event), ...this.#open]
    if (candidates.length === 0) return noDecision
    candidates.sort((one, other) => (this.#order.get(one.name) ?? 0) - (this.#order.get(other.name) ?? 0))
    const matched: Rule[] = []
    const failures: RuleFailure[] = []
    for (const rule of candidates) {
      const outcome = this.#conditions.get(rule.name)?.evaluate({ event })
      if (outcome === undefined || (outcome.ok && outcome.value === true)) matched.push(rule)
      else if (!outcome.ok) failures.push({ rule: rule.name, problem: outcome.problem })
      else if (outcome.value !== false)
        failures.push({ rule: rule.name, problem: 'its condition is neither true nor false' })
    }
    if (matched.length + failures.length === 0) return noDecision
    const acting = actingOf(matched, this.#book.policy)
    return { matched, acting, failures, hiddenBy: this.#isCommand(event) ? undefined : hiding(acting) }
  }

  #add(rule: Rule): void {
    const { compile } = this.#tools
    const condition = rule.when === undefined ? undefined : compile(rule.when, conditionOptions(rule))
    if (condition !== undefined) this.#conditions.set(rule.name, condition)
    const pattern = { ...condition?.attributes, ...rule.pattern }
    if (Object.keys(pattern).length === 0) this.#open.push(rule)
    else this.#index.add(compileFilter(pattern), rule)
  }

  /** A command has a caller who waits for what its one handler decides, so no rule keeps it back. */
  #isCommand({ type }: Event): boolean {
    const declared = this.#tools.events.get(type)
    return declared !== undefined && isCommand(declared)
  }
}

/** How the condition of a rule is compiled. */
export function conditionOptions(rule: Rule): {
  readonly variables: readonly string[]
  readonly where: string
} {
  return { variables: ['event'], where: `rule '${rule.name}', when` }
}

/** Whether a rule keeps events from the handlers of their topic. */
export function hidesEvents({ actions }: Rule): boolean {
  return actions.some((action) => 'drop' in action || 'move' in action)
}

function actingOf(matched: readonly Rule[], policy: RuleBook['policy']): readonly Rule[] {
  if (policy === 'first') return matched.slice(0, 1)
  return policy === 'exclusive' && matched.length > 1 ? [] : matched
}

function hiding(acting: readonly Rule[]): string | undefined {
  return acting.find(hidesEvents)?.name
}

/** What was sent to one handler, or moved by a rule, is decided already. */
export function isDecided({ millraceto, millracemoved }: Event): boolean {
  return millraceto !== undefined || millracemoved === true
}
