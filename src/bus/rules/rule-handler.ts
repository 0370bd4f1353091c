import { messageOf } from '../../core/errors.ts'
import { type AnyEventType, type Event, keyOf } from '../../core/event.ts'
import { validate } from '../../core/schema.ts'
import type { AddressOf } from '../addressing.ts'
import type { AttemptContext } from '../context.ts'
import type { HandlerDefinition } from '../definitions.ts'
import type { CompileExpression, RuleDecision, RuleFailure } from './compiled-rules.ts'
import type { Rule, RuleAction } from './rule.ts'

/** The name of the handler that does what rules say. */
export const rulesHandler = '$rules'

/** What the actions of rules are done with. */
export interface RuleActionTools {
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly addressOf: AddressOf
  /** What the rules say of an event that is handled. */
  decisionOf(event: Event): RuleDecision
  readonly compile: CompileExpression
  /** Takes note of what rules did, and of those that could not. */
  noted(decision: RuleDecision, failures: readonly RuleFailure[]): void
}

/**
 * The handler that does what the rules say: one like any other, with its own cursor, order, retry and dead letters, so that an action
 * commits together with the event's being done. A rule that cannot do its part is noted, and the others do theirs.
 */
export function rulesDefinition(tools: RuleActionTools): HandlerDefinition {
  return Object.freeze({
    name: rulesHandler,
    kind: 'on' as const,
    events: [...tools.events.values()],
    schedule: undefined,
    options: { name: rulesHandler, from: 'start' as const },
    run: async (event: Event, ctx: unknown) => {
      const decision = tools.decisionOf(event)
      const failures: RuleFailure[] = [...decision.failures]
      for (const rule of decision.acting) {
        try {
          await act(rule, event, ctx as AttemptContext, tools)
        } catch (error) {
          failures.push({ rule: rule.name, problem: messageOf(error) })
        }
      }
      tools.noted(decision, failures)
    },
  })
}

/** All actions of a rule, or none: each is prepared before the first is done. */
async function act(rule: Rule, event: Event, ctx: AttemptContext, tools: RuleActionTools): Promise<void> {
  const prepared: (() => void)[] = []
  for (const [index, action] of rule.actions.entries()) {
    prepared.push(
      await prepare(action, { event, ctx, tools, where: `rule '${rule.name}', actions[${index}]` }),
    )
  }
  for (const run of prepared) run()
}

interface Acting {
  readonly event: Event
  readonly ctx: AttemptContext
  readonly tools: RuleActionTools
  readonly where: string
}

async function prepare(action: RuleAction, acting: Acting): Promise<() => void> {
  const { event, ctx, tools } = acting
  if ('drop' in action) return () => {}
  if ('send' in action) {
    const type = tools.events.get(event.type) as AnyEventType
    tools.addressOf(action.send, type)
    return () => ctx.forward(event, { millraceto: action.send })
  }
  if ('move' in action) return () => ctx.forward(event, { topic: action.move })
  const type = tools.events.get(action.emit)
  if (type === undefined) throw new TypeError(`there is no event type '${action.emit}'`)
  const data = evaluated(action.data, 'data', acting)
  const subject = action.subject === undefined ? keyOf(event) : evaluated(action.subject, 'subject', acting)
  if (typeof subject !== 'string') throw new TypeError('subject must give text')
  await validate(type.schema, data, { code: 'DATA_INVALID', what: `Data of '${type.type}'` })
  return () => ctx.emit(type, data as never, { subject })
}

function evaluated(text: string, part: string, { event, tools, where }: Acting): unknown {
  const expression = tools.compile(text, { variables: ['event'], where: `${where}.${part}` })
  const outcome = expression.evaluate({ event })
  if (!outcome.ok) throw new TypeError(`${part}: ${outcome.problem}`)
  return outcome.value
}
