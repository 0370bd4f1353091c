import type { Command } from 'commander'
import type { DeadLetterSelection, DeadLettersAsked } from '../../bus/dead-letter-list.ts'
import { DeadLetterPort } from '../access/dead-letter-port.ts'
import { defaultUrl } from '../access/open.ts'
import { type CommandContext, misuse, wholeNumber, withCommonOptions } from '../command.ts'
import { printAsked, printGroups, printList, printShown } from './dead-letter-views.ts'

interface SelectionOptions {
  readonly url: string
  readonly handler?: string
  readonly group?: string
}

interface ListOptions extends SelectionOptions {
  readonly limit: number
  readonly from?: string
}

interface OrderOptions extends SelectionOptions {
  readonly all?: true
  readonly dryRun?: boolean
  readonly wait?: boolean
  readonly reason?: string
}

/** Adds `millrace dead-letters` with its commands. */
export function addDeadLetters(program: Command, context: () => CommandContext): void {
  const root = program
    .command('dead-letters')
    .description('the events that a handler has given up: look at them, redrive them, discard them')
  addList(root, context)
  addGroups(root, context)
  addShow(root, context)
  addOrder(root, context, 'redrive', 'hand dead letters back to their handlers, in order for each key')
  addOrder(root, context, 'discard', 'give dead letters up for good; a key that is held goes on')
}

function addList(root: Command, context: () => CommandContext): void {
  const command = narrowed(root.command('list').description('list those that are open'))
    .option('--limit <count>', 'how many at most (1,000)', wholeNumber(1, 1000), 20)
    .option('--from <place>', 'where the page begins: `next` of the page before')
  withUrl(command).action(async ({ url, limit, from, ...options }: ListOptions) => {
    const list = await new DeadLetterPort(url).list(selectionOf(options), limit, from)
    await printList(context().output, list)
  })
}

function addGroups(root: Command, context: () => CommandContext): void {
  const command = root
    .command('groups')
    .description('those that are open, by what made them fail')
    .option('--handler <name>', 'those of one handler')
  withUrl(command).action(async ({ url, handler }: SelectionOptions) => {
    await printGroups(context().output, await new DeadLetterPort(url).groups(handler))
  })
}

function addShow(root: Command, context: () => CommandContext): void {
  const command = root
    .command('show')
    .description('show one with its event, its stack and its attempts')
    .argument('<id>', 'its id: HANDLER/TOPIC/PARTITION/OFFSET')
  withUrl(command).action(async (id: string, { url }: SelectionOptions) => {
    await printShown(context().output, await new DeadLetterPort(url).show(id))
  })
}

function addOrder(
  root: Command,
  context: () => CommandContext,
  what: 'redrive' | 'discard',
  description: string,
): void {
  const command = narrowed(root.command(what).description(description))
    .argument('[id]', 'one of them: HANDLER/TOPIC/PARTITION/OFFSET')
    .option('--all', 'all that are open')
    .option('--dry-run', 'only say which these would be')
    .option('--wait', 'until it is done, and say what came of it')
  if (what === 'discard') command.requiredOption('--reason <text>', 'why; it is kept in the log')
  withUrl(command).action(async (id: string | undefined, options: OrderOptions) => {
    await order(context(), what, id, options)
  })
}

async function order(
  { output }: CommandContext,
  what: 'redrive' | 'discard',
  id: string | undefined,
  options: OrderOptions,
): Promise<void> {
  const { url, all, dryRun = false, wait = false, reason } = options
  const selection = { ...selectionOf(options), ...(id === undefined ? {} : { id }) }
  if ((all === true) === Object.keys(selection).length > 0) {
    throw misuse(
      'Which dead letters are meant must be said.',
      what,
      'Give an id, --handler or --group, or --all alone.',
    )
  }
  const asking = {
    ...selection,
    dryRun,
    wait,
    ...(all ? { all } : {}),
    ...(reason === undefined ? {} : { reason }),
  }
  const port = new DeadLetterPort(url)
  const pages: DeadLettersAsked[] = []
  for (let from: string | undefined; ; ) {
    const page = await port.order(what, asking, from)
    pages.push(page)
    from = page.next
    if (from === undefined) return printAsked(output, what, pages)
    output.note(`${pages.reduce((sum, { letters }) => sum + letters.length, 0)} so far`)
  }
}

function selectionOf({ handler, group }: Omit<SelectionOptions, 'url'>): DeadLetterSelection {
  return { ...(handler === undefined ? {} : { handler }), ...(group === undefined ? {} : { group }) }
}

function narrowed(command: Command): Command {
  return command
    .option('--handler <name>', 'those of one handler')
    .option('--group <fingerprint>', 'those of one cause, as `groups` names it')
}

function withUrl(command: Command): Command {
  return withCommonOptions(command.option('--url <url>', 'the platform port of the application', defaultUrl))
}
