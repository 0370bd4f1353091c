import type { Command } from 'commander'
import { defaultUrl } from '../access/open.ts'
import { RulePort } from '../access/rule-port.ts'
import { type CommandContext, withCommonOptions } from '../command.ts'
import { readJsonInput } from '../json-input.ts'
import { printRoute } from './rule-views.ts'

interface RouteOptions {
  readonly url: string
  readonly event: string
}

/** Adds `millrace route`. */
export function addRoute(program: Command, context: () => CommandContext): void {
  const command = program
    .command('route')
    .description(
      'say where an event would go, and why: handlers and rules that take it, and what keeps it from others',
    )
    .requiredOption(
      '--event <file>',
      'the event as JSON, of which only the type must be given; - for standard input',
    )
    .option('--url <url>', 'the platform port of the application', defaultUrl)
  withCommonOptions(command).action(async ({ url, event }: RouteOptions) => {
    await printRoute(context().output, await new RulePort(url).route(await readJsonInput(event, context())))
  })
}
