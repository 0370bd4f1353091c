import { MillraceError } from '../../core/errors.ts'
import type { AnyEventType } from '../../core/event.ts'
import { compileFilter } from '../../routing/index.ts'
import { type CompileExpression, conditionOptions } from './compiled-rules.ts'
import type { Rule, RuleAction } from './rule.ts'

/** What a rule is held against before it is taken. */
export interface CompileTools {
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly topics: ReadonlySet<string>
  /** The names of the handlers that events can be sent to. */
  readonly handlers: ReadonlySet<string>
  readonly compile: CompileExpression
  /** Throws `EVENT_OF_STREAM` for a type that cannot be emitted. */
  checkAdmissible(type: AnyEventType): void
}

/**
 * Refuses a rule whose pattern or expressions cannot be compiled, or whose actions name what there is not: `PATTERN_INVALID`,
 * `RULE_INVALID`, `HANDLER_UNKNOWN`, `EVENT_TYPE_UNKNOWN`, `EVENT_OF_STREAM`.
 */
export function checkCompiles(rule: Rule, tools: CompileTools): void {
  if (rule.pattern !== undefined) compileFilter(rule.pattern)
  if (rule.when !== undefined) tools.compile(rule.when, conditionOptions(rule))
  for (const [index, action] of rule.actions.entries()) {
    checkAction(action, `rule '${rule.name}', actions[${index}]`, tools)
  }
}

function checkAction(action: RuleAction, where: string, tools: CompileTools): void {
  if ('drop' in action) return
  if ('send' in action) {
    if (tools.handlers.has(action.send)) return
    throw new MillraceError('HANDLER_UNKNOWN', `This application has no handler '${action.send}'.`, {
      where: `${where}.send`,
      fix: `Use one of: ${[...tools.handlers].join(', ')}.`,
    })
  }
  if ('move' in action) {
    if (tools.topics.has(action.move)) return
    throw new MillraceError('RULE_INVALID', `The application has no topic '${action.move}'.`, {
      where: `${where}.move`,
      fix: `Use one of its topics, or list it under \`topics\` of the application: ${[...tools.topics].join(', ')}.`,
    })
  }
  const type = tools.events.get(action.emit)
  if (type === undefined) {
    throw new MillraceError('EVENT_TYPE_UNKNOWN', `The application has no event type '${action.emit}'.`, {
      where: `${where}.emit`,
      fix: 'Emit a type that a handler of the application names, or list it under `events`.',
    })
  }
  tools.checkAdmissible(type)
  const variables = ['event']
  tools.compile(action.data, { variables, where: `${where}.data` })
  if (action.subject !== undefined) tools.compile(action.subject, { variables, where: `${where}.subject` })
}
