import type { Event } from '../../core/event.ts'
import { compileFilter, Matcher } from '../../routing/index.ts'
import type { compileExpression, Expression } from '../../rules/expression.ts'
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

/** The rules of one book, compiled: patterns into one index, conditions once each. */
export class CompiledRules {
  readonly #book: RuleBook
  readonly #order = new Map<string, number>()
  readonly #conditions = new Map<string, Expression>()
  readonly #index = new Matcher<Rule>()
  /** Rules without a pattern, which every event matches. */
  readonly #open: readonly Rule[]

  constructor(book: RuleBook, compile: CompileExpression) {
    this.#book = book
    const enabled = rulesInOrder(book).filter((rule) => rule.enabled !== false)
    for (const [place, rule] of enabled.entries()) {
      this.#order.set(rule.name, place)
      if (rule.when !== undefined) this.#conditions.set(rule.name, compile(rule.when, conditionOptions(rule)))
      if (rule.pattern !== undefined) this.#index.add(compileFilter(rule.pattern), rule)
    }
    this.#open = enabled.filter(({ pattern }) => pattern === undefined)
  }

  /** What the rules say of an event; the same for the same event, always. */
  decide(event: Event): RuleDecision {
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
    return { matched, acting, failures, hiddenBy: acting.find(hides)?.name }
  }
}

/** How the condition of a rule is compiled. */
export function conditionOptions(rule: Rule): {
  readonly variables: readonly string[]
  readonly where: string
} {
  return { variables: ['event'], where: `rule '${rule.name}', when` }
}

function actingOf(matched: readonly Rule[], policy: RuleBook['policy']): readonly Rule[] {
  if (policy === 'first') return matched.slice(0, 1)
  return policy === 'exclusive' && matched.length > 1 ? [] : matched
}

function hides({ actions }: Rule): boolean {
  return actions.some((action) => 'drop' in action || 'move' in action)
}
