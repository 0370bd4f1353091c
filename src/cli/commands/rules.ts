import type { Command } from 'commander'
import { rulePolicies } from '../../bus/rules/rule.ts'
import { defaultUrl } from '../access/open.ts'
import { RulePort } from '../access/rule-port.ts'
import { type CommandContext, misuse, wholeNumber, withCommonOptions } from '../command.ts'
import { readJsonInput } from '../json-input.ts'
import { printChanges, printRule, printRules, printTrial } from './rule-views.ts'

interface RuleOptions {
  readonly url: string
  readonly by?: string
  readonly reason?: string
}

interface TryOptions extends RuleOptions {
  readonly policy?: string
  readonly topic?: string
  readonly from?: string
  readonly limit: number
}

/** Adds `millrace rules` with its commands. */
export function addRules(program: Command, context: () => CommandContext): void {
  const root = program
    .command('rules')
    .description('the rules of a running application: look at them, change them, try them on past events')
  addLooking(root, context)
  addPut(root, context)
  for (const [what, description] of [
    ['remove', 'remove a rule'],
    ['enable', 'switch a rule on'],
    ['disable', 'switch a rule off; it stays, and matches nothing'],
  ] as const) {
    addChange(root, context, what, description)
  }
  addPolicy(root, context)
  addTry(root, context)
}

function addLooking(root: Command, context: () => CommandContext): void {
  const list = root.command('list').description('list them in the order in which they are tried')
  withUrl(list).action(async ({ url }: RuleOptions) => {
    await printRules(context().output, await new RulePort(url).list())
  })
  const show = root.command('show').description('show one, and what it did').argument('<name>', 'its name')
  withUrl(show).action(async (name: string, { url }: RuleOptions) => {
    await printRule(context().output, await new RulePort(url).show(name))
  })
  const history = root.command('history').description('every change there ever was, with who made it and why')
  withUrl(history).action(async ({ url }: RuleOptions) => {
    await printChanges(context().output, await new RulePort(url).changes())
  })
}

function addPut(root: Command, context: () => CommandContext): void {
  const command = root
    .command('put')
    .description('create rules, or replace those of the same names, all in one change')
    .argument('<file>', 'a rule or a list of rules as JSON; - for standard input')
  withUrl(withNote(command)).action(async (file: string, options: RuleOptions) => {
    const rules = await readRules(file, context())
    await new RulePort(options.url).put(rules, noteOf(options))
    await tell(context(), { change: 'put', rules: rules.length }, count(rules.length, 'holds', 'hold'))
  })
}

function addChange(
  root: Command,
  context: () => CommandContext,
  what: 'remove' | 'enable' | 'disable',
  description: string,
): void {
  const command = root.command(what).description(description).argument('<name>', 'its name')
  withUrl(withNote(command)).action(async (name: string, options: RuleOptions) => {
    await new RulePort(options.url).change(what, name, noteOf(options))
    await tell(
      context(),
      { change: what, name },
      `'${name}' is ${what === 'remove' ? 'removed' : `${what}d`} from here on.`,
    )
  })
}

function addPolicy(root: Command, context: () => CommandContext): void {
  const command = root
    .command('policy')
    .description('say what happens where several rules match one event')
    .argument('<policy>', `one of ${rulePolicies.join(', ')}`)
  withUrl(withNote(command)).action(async (policy: string, options: RuleOptions) => {
    if (!(rulePolicies as readonly string[]).includes(policy)) {
      throw misuse(`'${policy}' is no policy.`, 'policy', `Give one of ${rulePolicies.join(', ')}.`)
    }
    await new RulePort(options.url).setPolicy(policy, noteOf(options))
    await tell(context(), { change: 'policy', policy }, `The policy is '${policy}' from here on.`)
  })
}

function addTry(root: Command, context: () => CommandContext): void {
  const command = root
    .command('try')
    .description('say what rules would have done with past events, without doing it')
    .argument('[file]', 'a rule or a list of rules as JSON; those that hold unless given')
    .option('--policy <policy>', `instead of the one that holds: ${rulePolicies.join(', ')}`)
    .option('--topic <topic>', 'only events of this topic')
    .option('--from <time>', 'only events from this time on (RFC 3339)')
    .option('--limit <count>', 'how many events at most', wholeNumber(1, 1_000_000), 10_000)
  withUrl(command).action(async (file: string | undefined, { url, ...options }: TryOptions) => {
    const rules = file === undefined ? undefined : await readRules(file, context())
    const { policy, topic, from, limit } = options
    await printTrial(context().output, await new RulePort(url).try({ rules, policy, topic, from, limit }))
  })
}

async function readRules(file: string, context: CommandContext): Promise<readonly unknown[]> {
  const given = await readJsonInput(file, context)
  return Array.isArray(given) ? given : [given]
}

async function tell({ output }: CommandContext, facts: object, sentence: string): Promise<void> {
  if (output.json) await output.printJson(facts)
  else await output.print(sentence)
}

function count(rules: number, one: string, many: string): string {
  return rules === 1 ? `1 rule ${one} from here on.` : `${rules} rules ${many} from here on.`
}

function noteOf({ by, reason }: RuleOptions) {
  return { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) }
}

function withNote(command: Command): Command {
  return command
    .option('--by <name>', 'who makes the change; it is kept in the log')
    .option('--reason <text>', 'why; it is kept in the log')
}

function withUrl(command: Command): Command {
  return withCommonOptions(command.option('--url <url>', 'the platform port of the application', defaultUrl))
}
