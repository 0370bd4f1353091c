import { isCommand } from '../../core/command.ts'
import { messageOf, TerminalError } from '../../core/errors.ts'
import { type AnyEventType, type Event, keyOf } from '../../core/event.ts'
import type { AddressOf } from '../addressing.ts'
import type { AttemptContext } from '../context.ts'
import type { HandlerDefinition } from '../definitions.ts'
import type { Admitted } from '../door.ts'
import { rulesHandler } from '../internal-topics.ts'
import type { RoutedView } from '../routed-view.ts'
import { type CompileExpression, hidesEvents, type RuleDecision, type RuleFailure } from './compiled-rules.ts'
import type { Rule, RuleAction } from './rule.ts'

/** What the actions of rules are done with. */
export interface RuleActionTools {
  readonly events: ReadonlyMap<string, AnyEventType>
  /** The topics that events can be moved to. */
  readonly topics: ReadonlySet<string>
  readonly view: RoutedView
  readonly addressOf: AddressOf
  /** What the rules say of an event that is handled. */
  decisionOf(event: Event): RuleDecision
  readonly compile: CompileExpression
  /** Takes note of what rules did, and of those that could not. */
  noted(decision: RuleDecision, failures: readonly RuleFailure[]): void
}

/**
 * The handler that does what the rules say: one like any other, with its own cursor, order, retry and dead letters, so that an action
 * commits together with the event's being done. A rule that cannot do its part is noted, and the others do theirs; unless it keeps
 * the event from the handlers, which then would be lost: that is a dead letter.
 */
export function rulesDefinition(tools: RuleActionTools): HandlerDefinition {
  return rulesHandlerDefinition(tools.events, async (event, given) => {
    const ctx = given as AttemptContext
    const decision = tools.decisionOf(event)
    const failures: RuleFailure[] = [...decision.failures]
    const lost: RuleFailure[] = []
    for (const rule of decision.acting) {
      try {
        for (const admitted of await admit(rule, event, ctx, tools)) ctx.append(admitted)
      } catch (error) {
        const failure = { rule: rule.name, problem: messageOf(error) }
        failures.push(failure)
        if (decision.hiddenBy !== undefined && hidesEvents(rule)) lost.push(failure)
      }
    }
    tools.noted(decision, failures)
    if (lost.length > 0) throw cannotAct(lost)
  })
}

/** The definition of the handler of rules, which takes every event of the application. */
export function rulesHandlerDefinition(
  events: ReadonlyMap<string, AnyEventType>,
  run: HandlerDefinition['run'],
): HandlerDefinition {
  const options = { name: rulesHandler, from: 'start' as const }
  return Object.freeze({
    name: rulesHandler,
    kind: 'on' as const,
    events: [...events.values()],
    schedule: undefined,
    options,
    run,
  })
}

function cannotAct(failures: readonly RuleFailure[]): TerminalError {
  const [first] = failures
  return new TerminalError(
    `Rule '${first?.rule}' keeps the event from its handlers, and cannot do its part: ${first?.problem}`,
    {
      where: `rule '${first?.rule}'`,
      fix: 'Put back what the rule names and hand the dead letter back, or discard it and publish the event again once the rule is mended.',
      facts: { failures },
    },
  )
}

/** What all actions of a rule append: each can be done, or none is. */
async function admit(
  rule: Rule,
  event: Event,
  ctx: AttemptContext,
  tools: RuleActionTools,
): Promise<readonly Admitted[]> {
  const admitted: Admitted[] = []
  for (const [index, action] of rule.actions.entries()) {
    const where = `rule '${rule.name}', actions[${index}]`
    const one = await admitAction(action, { event, ctx, tools, where })
    if (one !== undefined) admitted.push(one)
  }
  return admitted
}

interface Acting {
  readonly event: Event
  readonly ctx: AttemptContext
  readonly tools: RuleActionTools
  readonly where: string
}

async function admitAction(action: RuleAction, acting: Acting): Promise<Admitted | undefined> {
  const { event, ctx, tools } = acting
  if ('emit' in action) {
    const type = tools.events.get(action.emit)
    if (type === undefined) throw new TypeError(`there is no event type '${action.emit}'`)
    const data = evaluated(action.data, 'data', acting)
    const subject = action.subject === undefined ? keyOf(event) : evaluated(action.subject, 'subject', acting)
    if (typeof subject !== 'string') throw new TypeError('subject must give text')
    return ctx.admit(type, data as never, { subject })
  }
  const type = tools.events.get(event.type) as AnyEventType
  if (isCommand(type)) throw new TypeError(`'${type.type}' is a command: only its handler takes it`)
  if ('drop' in action) return undefined
  if ('send' in action) {
    tools.addressOf(action.send, type)
    return ctx.admitForward(event, { millraceto: action.send })
  }
  if (!tools.topics.has(action.move)) throw new TypeError(`there is no topic '${action.move}'`)
  return ctx.admitForward(event, { topic: action.move })
}

function evaluated(text: string, part: string, { event, tools, where }: Acting): unknown {
  const expression = tools.compile(text, { variables: ['event'], where: `${where}.${part}` })
  const outcome = expression.evaluate({ event: tools.view(event) })
  if (!outcome.ok) throw new TypeError(`${part}: ${outcome.problem}`)
  return outcome.value
}
