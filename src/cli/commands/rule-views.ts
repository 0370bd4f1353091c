import type { Route, RouteMatch } from '../../bus/explain.ts'
import type { Rule, RuleAction } from '../../bus/rules/rule.ts'
import type { RuleTrial } from '../../bus/rules/rule-trial.ts'
import type { RuleList, RuleStatus } from '../../bus/rules/rules.ts'
import type { ToldChange } from '../access/rule-port.ts'
import { type Output, table } from '../output.ts'

/** Prints the rules in the order in which they are tried. */
export async function printRules(output: Output, list: RuleList): Promise<void> {
  if (output.json) return output.printJson(list)
  await output.print(`policy ${list.policy}`)
  if (list.rules.length === 0) return output.print('There are no rules.')
  const rows = list.rules.map(({ rule, counts: { matched, acted, failed } }) => {
    const state = rule.enabled === false ? 'off' : 'on'
    return [rule.name, state, rule.priority ?? 0, matched, acted, failed, actionsOf(rule), wantedOf(rule)]
  })
  const head = ['rule', 'state', 'priority', 'matched', 'acted', 'failed', 'does', 'with']
  for (const line of table([head, ...rows])) await output.print(fitting(line, output))
  for (const { rule, counts } of list.rules) {
    if (counts.lastProblem !== undefined) output.note(`${rule.name} failed: ${counts.lastProblem}`)
  }
}

/** Prints one rule, whole. */
export async function printRule(output: Output, status: RuleStatus): Promise<void> {
  if (output.json) return output.printJson(status)
  await output.print(JSON.stringify(status.rule, undefined, 2))
  const { matched, acted, failed, conflicts, lastProblem } = status.counts
  await output.print(`matched ${matched}, acted ${acted}, failed ${failed}, in conflict ${conflicts}`)
  if (lastProblem !== undefined) await output.print(`failed last: ${lastProblem}`)
}

/** Prints every change to the rules, the oldest first. */
export async function printChanges(output: Output, changes: readonly ToldChange[]): Promise<void> {
  if (output.json) return output.printJson({ changes })
  if (changes.length === 0) return output.print('The rules were never changed.')
  const rows = changes.map((change) => {
    return [new Date(change.timeMs).toISOString(), describe(change), change.by ?? '', change.reason ?? '']
  })
  for (const line of table([['time', 'change', 'by', 'reason'], ...rows])) await output.print(line)
}

/** Prints what rules would have said of past events. */
export async function printTrial(output: Output, trial: RuleTrial): Promise<void> {
  if (output.json) return output.printJson(trial)
  await output.print(`${trial.looked} events looked at${trial.cut ? ', and there are more' : ''}`)
  for (const [name, matched] of Object.entries(trial.matched))
    await output.print(`${name} matched ${matched}`)
  if (trial.hits.length === 0) return output.print('No rule matched any of them.')
  const rows = trial.hits.map((hit) => {
    const failed = hit.failures.map(({ rule, problem }) => `${rule}: ${problem}`)
    const place = `${hit.topic}/${hit.partition}/${hit.offset}`
    return [place, hit.type, hit.acting.join(' ') || '-', hit.hiddenBy ?? '-', failed.join('; ') || '-']
  })
  for (const line of table([['event', 'type', 'acting', 'hidden by', 'failed'], ...rows]))
    await output.print(fitting(line, output))
}

/** Prints where an event would go, and why. */
export async function printRoute(output: Output, route: Route): Promise<void> {
  if (output.json) return output.printJson(route)
  await output.print(`topic ${route.topic}`)
  for (const handler of route.handlers)
    await printMatch(output, 'handler', handler, handler.matches ? 'takes it' : 'no')
  for (const rule of route.rules) {
    const verdict = rule.acts ? 'acts' : rule.matches ? 'matches, and another goes before it' : 'no'
    await printMatch(output, 'rule', rule, verdict)
  }
  if (route.hiddenBy !== undefined)
    await output.print(`hidden from the handlers of its topic by rule ${route.hiddenBy}`)
}

async function printMatch(output: Output, kind: string, match: RouteMatch, verdict: string): Promise<void> {
  await output.print(`${kind} ${match.name}: ${verdict === 'no' && match.nearly ? 'nearly' : verdict}`)
  for (const { what, wanted, found, holds, problem } of match.conditions) {
    if (holds) continue
    const got = problem ?? (found === undefined ? 'there is nothing' : JSON.stringify(found))
    await output.print(
      `  ${what}: ${got}, wanted ${typeof wanted === 'string' ? wanted : JSON.stringify(wanted)}`,
    )
  }
}

/** A line as long as the terminal is wide. */
function fitting(line: string, { stdout: { isTTY, columns } }: Output): string {
  const isTooLong = isTTY === true && columns !== undefined && line.length > columns
  return isTooLong ? `${line.slice(0, columns - 1)}…` : line
}

function wantedOf({ pattern, when }: Rule): string {
  const parts = [pattern === undefined ? '' : JSON.stringify(pattern), when ?? '']
  return short(parts.filter((part) => part !== '').join(' and ') || 'every event')
}

function actionsOf({ actions }: Rule): string {
  return short(actions.map(describeAction).join(', '))
}

function describeAction(action: RuleAction): string {
  if ('send' in action) return `send ${action.send}`
  if ('emit' in action) return `emit ${action.emit}`
  return 'move' in action ? `move ${action.move}` : 'drop'
}

function describe(change: ToldChange): string {
  if (change.change === 'policy') return `policy ${change.policy}`
  if (change.change === 'put') return `put ${change.rules.map(({ name }) => name).join(' ')}`
  return `${change.change} ${change.name}`
}

function short(text: string): string {
  return text.length <= 60 ? text : `${text.slice(0, 59)}…`
}
