import type { Event } from '../core/event.ts'
import type { Logger } from '../core/runtime.ts'
import { compileFilter, Matcher } from '../routing/index.ts'
import type { Expression } from '../rules/expression.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { FilterCondition } from './event-filter.ts'
import type { RoutedView } from './routed-view.ts'
import type { CompileExpression } from './rules/compiled-rules.ts'

/** A filter that asks for nothing but a condition in CEL. */
const everyEvent = { specversion: ['1.0'] }

/** The filters of a group's handlers, in one index: an event is matched once, however many handlers ask. */
export class HandlerFilters {
  readonly #matcher = new Matcher<string>()
  readonly #filtered = new Set<string>()
  readonly #matched = new WeakMap<Event, ReadonlySet<string>>()
  readonly #view: RoutedView

  /** `compile` is needed where a filter has a condition in CEL; `RULE_INVALID` for one that cannot be compiled. */
  constructor(
    handlers: readonly HandlerDefinition[],
    logger: Logger,
    compile: CompileExpression | undefined,
    view: RoutedView,
  ) {
    this.#view = view
    for (const { name, condition } of handlers) {
      if (condition === undefined) continue
      this.#filtered.add(name)
      const when = expressionOf(name, condition, compile)
      const pattern = { ...everyEvent, ...when?.attributes, ...condition.pattern }
      const options = when === undefined ? {} : { when: conditionOf(name, when, logger) }
      this.#matcher.add(compileFilter(pattern), name, options)
    }
  }

  /** Whether a handler has a filter. */
  has(handler: string): boolean {
    return this.#filtered.has(handler)
  }

  /** Whether a handler without a filter, or with one that matches, wants the event. What is sent to it is not filtered. */
  lets(handler: string, event: Event): boolean {
    return !this.#filtered.has(handler) || (this.matched(event)?.has(handler) ?? true)
  }

  /** The handlers whose filters match; undefined where the event is sent to a handler, so that no filter is asked. */
  matched(event: Event): ReadonlySet<string> | undefined {
    if (event.millraceto !== undefined) return undefined
    let matched = this.#matched.get(event)
    if (matched === undefined) {
      matched = new Set(this.#matcher.match(this.#view(event)))
      this.#matched.set(event, matched)
    }
    return matched
  }
}

/** Whether any of the handlers has a condition in CEL. */
export function needsCompiler(handlers: readonly HandlerDefinition[]): boolean {
  return handlers.some(({ condition }) => condition?.when !== undefined)
}

function expressionOf(
  handler: string,
  { when }: FilterCondition,
  compile: CompileExpression | undefined,
): Expression | undefined {
  if (when === undefined) return undefined
  if (compile === undefined) throw new TypeError('a condition in CEL needs its compiler')
  return compile(when, { variables: ['event'], where: `handler '${handler}', when` })
}

function conditionOf(handler: string, expression: Expression, logger: Logger): (event: object) => boolean {
  let told = false
  return (event) => {
    const outcome = expression.evaluate({ event })
    if (outcome.ok) return outcome.value === true
    if (!told)
      logger.warn({ handler, problem: outcome.problem }, 'the condition of a handler could not be evaluated')
    told = true
    return false
  }
}
