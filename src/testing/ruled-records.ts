import type { App } from '../app/app.ts'
import { routedView } from '../bus/routed-view.ts'
import { loadedCompiler } from '../bus/rules/application-rules.ts'
import { CompiledRules, type CompileExpression, hidesEvents, isDecided } from '../bus/rules/compiled-rules.ts'
import type { Rule } from '../bus/rules/rule.ts'
import type { RuleBook, RuleChange } from '../bus/rules/rule-book.ts'
import { ruleChangedType } from '../bus/rules/rule-history.ts'
import { ruleMarkType } from '../bus/rules/rule-marks.ts'
import { isCommand } from '../core/command.ts'
import type { Event } from '../core/event.ts'
import type { LoggedRecord, RuledRecord, RuledRecords } from './history.ts'

/**
 * What rules have to say of every record, found from the log alone: the changes in their order, applied one by one, and the marks
 * in the place of the record. Nothing of this is shared with how an application finds out, but what a rule says of an event.
 */
export function ruledRecords(log: readonly LoggedRecord[], app: App): RuledRecords {
  const ruled = new Map<LoggedRecord, RuledRecord>()
  const compile = loadedCompiler()
  const changes = log.filter(({ event }) => event.type === ruleChangedType)
  if (changes.length === 0 || compile === undefined) return ruled
  const books = new Map<string, CompiledRules>()
  let book: RuleBook = { policy: 'all', rules: new Map() }
  for (const { event } of changes) {
    book = changed(book, event.data as RuleChange)
    books.set(
      event.id,
      new CompiledRules(book, { compile, events: app.events, view: routedView(app.events) }),
    )
  }
  const places = new Map<string, CompiledRules>()
  for (const record of log) {
    const { topic, partition, event } = record
    if (topic.startsWith('millrace.')) continue
    const place = `${topic}/${partition}`
    const rules = books.get(event.id)
    if (event.type === ruleMarkType && rules !== undefined) places.set(place, rules)
    const holding = isDecided(event) ? undefined : places.get(place)
    if (holding === undefined || event.type.startsWith('millrace.')) continue
    const { acting, hiddenBy } = holding.decide(event)
    if (acting.length === 0) continue
    const able = acting.filter((rule) => canAct(rule, event, app, compile))
    // What a rule that cannot do its part would keep from the handlers is given up, and nothing is done.
    const isLost = hiddenBy !== undefined && acting.some((rule) => hidesEvents(rule) && !able.includes(rule))
    ruled.set(record, { hidden: hiddenBy !== undefined, ...doneBy(isLost ? [] : able) })
  }
  return ruled
}

function changed({ policy, rules: before }: RuleBook, change: RuleChange): RuleBook {
  const rules = new Map(before)
  if (change.change === 'policy') return { policy: change.policy, rules }
  if (change.change === 'put') for (const rule of change.rules) rules.set(rule.name, rule)
  else if (change.change === 'remove') rules.delete(change.name)
  else {
    const rule = rules.get(change.name)
    if (rule !== undefined) rules.set(change.name, { ...rule, enabled: change.change === 'enable' })
  }
  return { policy, rules }
}

/** Whether a rule can do all that it says: what it emits can be evaluated, and a command is only emitted for. */
function canAct({ actions }: Rule, event: Event, app: App, compile: CompileExpression): boolean {
  const type = app.events.get(event.type)
  const isAsked = type !== undefined && isCommand(type)
  const view = routedView(app.events)(event)
  const evaluated = (text: string) =>
    compile(text, { variables: ['event'], where: '' }).evaluate({ event: view })
  return actions.every((action) => {
    if (!('emit' in action)) return !isAsked
    const subject = action.subject === undefined ? undefined : evaluated(action.subject)
    const isNamed = subject === undefined || (subject.ok && typeof subject.value === 'string')
    return isNamed && evaluated(action.data).ok
  })
}

function doneBy(acting: readonly Rule[]): Omit<RuledRecord, 'hidden'> {
  const actions = acting.flatMap((rule) => rule.actions)
  return {
    emits: actions.flatMap((action) => ('emit' in action ? action.emit : [])),
    sends: actions.flatMap((action) => ('send' in action ? action.send : [])),
    moves: actions.flatMap((action) => ('move' in action ? action.move : [])),
  }
}
