import { readFileSync } from 'node:fs'
import type { Readable } from 'node:stream'
import { Command, CommanderError } from 'commander'
import { isMillraceError, type MillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import { type CommandContext, misuse } from './command.ts'
import { addBackup } from './commands/backup.ts'
import { addCompletion } from './commands/completion.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addDev } from './commands/dev.ts'
import { addDoctor } from './commands/doctor.ts'
import { addForget } from './commands/forget.ts'
import { addIngest } from './commands/ingest.ts'
import { addInit } from './commands/init.ts'
import { addInspect } from './commands/inspect.ts'
import { addMigrate } from './commands/migrate.ts'
import { addPublish } from './commands/publish.ts'
import { addRestore } from './commands/restore.ts'
import { addRoute } from './commands/route.ts'
import { addRules } from './commands/rules.ts'
import { addStart } from './commands/start.ts'
import { addTail } from './commands/tail.ts'
import { Output, type OutputStream } from './output.ts'

/** The process that a command runs in. */
export interface ProcessContext {
  readonly stdout: OutputStream
  readonly stderr: OutputStream
  readonly stdin: Readable
  readonly environment: NodeJS.ProcessEnv
  readonly runtime: Runtime
}

/** What the process ends with. */
export const exitCodes = { ok: 0, failed: 1, misuse: 2 } as const

/** Runs the command that the arguments name; gives the exit code. Errors are reported and never thrown. */
export async function run(args: readonly string[], context: ProcessContext): Promise<number> {
  // The command line may be what is wrong, so how errors are written is not read from its parsed form.
  const output = new Output({
    stdout: context.stdout,
    stderr: context.stderr,
    json: args.includes('--json'),
    verbose: args.includes('--verbose'),
  })
  const commandContext: CommandContext = {
    output,
    runtime: context.runtime,
    standardInput: context.stdin,
    environment: context.environment,
  }
  try {
    await program(commandContext).parseAsync(args, { from: 'user' })
    return exitCodes.ok
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return exitCodes.ok
    const reported = error instanceof CommanderError ? commandError(error) : error
    output.error(reported)
    return isMillraceError(reported, 'COMMAND_INVALID') ? exitCodes.misuse : exitCodes.failed
  }
}

function program(context: CommandContext): Command {
  const { output } = context
  const root = new Command('millrace')
    .description('Event-driven applications on a durable embedded log.')
    .version(version(), '--version', 'show the version')
    .configureOutput({
      writeOut: (text) => output.stdout.write(text),
      writeErr: (text) => output.stderr.write(text),
      outputError: () => {},
    })
    .exitOverride()
    .helpCommand(true)
  for (const add of [
    addInit,
    addDev,
    addStart,
    addPublish,
    addIngest,
    addTail,
    addInspect,
    addDoctor,
    addBackup,
    addRestore,
    addMigrate,
    addDeadLetters,
    addForget,
    addRules,
    addRoute,
    addCompletion,
  ])
    add(root, () => context)
  return root
}

/** The manifest is two folders up, in the sources and as built. */
function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(manifest) as { readonly version: string }).version
}

function commandError(error: CommanderError): MillraceError {
  const message = error.message.replace(/^error: /, '')
  if (error.code === 'commander.help') {
    return misuse('No command was given.', 'millrace', 'Use one of those above; each has --help.')
  }
  return misuse(
    `${message.charAt(0).toUpperCase()}${message.slice(1)}.`.replace(/\.\.$/, '.'),
    'command line',
    'See --help.',
  )
}
