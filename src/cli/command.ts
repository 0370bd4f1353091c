import type { Readable } from 'node:stream'
import { type Command, InvalidArgumentError, Option } from 'commander'
import type { App } from '../app/app.ts'
import { MillraceError, messageOf } from '../core/errors.ts'
import { checkTopicName } from '../core/event.ts'
import type { Runtime } from '../core/runtime.ts'
import { openAccess } from './access/open.ts'
import type { LogAccess } from './access/port.ts'
import type { Output } from './output.ts'

/** What every command is given. */
export interface CommandContext {
  readonly output: Output
  readonly runtime: Runtime
  readonly standardInput: Readable
  readonly environment: NodeJS.ProcessEnv
}

/** The options of the commands that reach a log. */
export interface AccessOptions {
  readonly url?: string
  readonly log?: string
}

/** Adds the options that say where the log is. */
export function withAccessOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the platform port of the running application (default: http://127.0.0.1:4400)')
    .option('--log <url>', 'open this log, such as lmdb:.millrace, instead of asking a running application')
}

/** Adds the options that every command has. */
export function withCommonOptions(
  command: Command,
  verbose = 'show the stack and the cause of an error',
): Command {
  return command.option('--json', 'write results and errors as JSON').option('--verbose', verbose)
}

/** Reaches the log, works with it, and lets go of it however that ends. */
export async function withAccess(
  context: CommandContext,
  options: AccessOptions & { readonly createTopic?: boolean; readonly loadApp?: () => Promise<App> },
  work: (access: LogAccess) => Promise<void>,
): Promise<void> {
  const { runtime, environment } = context
  const access = await openAccess({ ...options, runtime, environment })
  try {
    await work(access)
  } finally {
    await access.close()
  }
}

/** Reads the value of an option that is a whole number from `least` to `most`. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= least && value <= most) return value
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`)
  }
}

/** Reads the value of `--topic` of a command that appends: a name that a topic of a user can have. */
export function topicName(text: string): string {
  try {
    return checkTopicName(text)
  } catch (error) {
    throw misuse(
      `${messageOf(error)}.`,
      '--topic',
      "Name a topic such as 'shop'; `millrace inspect` lists them.",
    )
  }
}

/** An option that takes one of a few words. */
export function choice(flags: string, description: string, words: readonly string[], preset: string): Option {
  return new Option(flags, description).choices(words).default(preset)
}

/** A misuse of a command: exit code 2. */
export function misuse(message: string, where: string, fix: string): MillraceError {
  return new MillraceError('COMMAND_INVALID', message, { where, fix })
}
