import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import type { LeftInGroup } from '../../app/forget-handler.ts'
import { defaultLogUrl, openEngine, parseLogUrl } from '../../app/open-engine.ts'
import { isMillraceError, MillraceError } from '../../core/errors.ts'
import type { LogEngine } from '../../log/port.ts'
import { type CommandContext, misuse, withCommonOptions } from '../command.ts'
import { loadApp } from '../load-app.ts'
import type { Output } from '../output.ts'

interface ForgetOptions {
  readonly app: string
  readonly log?: string
  readonly dryRun?: true
  readonly yes?: true
}

/** Adds `millrace forget`. */
export function addForget(program: Command, context: () => CommandContext): void {
  const command = program
    .command('forget')
    .description('drop everything that is kept of a handler that the application has no more')
    .argument('<handler>', 'its name')
    .requiredOption('--app <file>', 'the application that it is gone from')
    .option(
      '--log <url>',
      `the log, which nobody may have open (default: MILLRACE_LOG, else ${defaultLogUrl})`,
    )
    .option('--dry-run', 'only say what there is')
    .option('--yes', 'do not ask')
  withCommonOptions(command).action(async (handler: string, options: ForgetOptions) => {
    await forget(handler, options, context())
  })
}

async function forget(handler: string, options: ForgetOptions, context: CommandContext): Promise<void> {
  const { output, runtime, environment } = context
  const { dryRun = false, yes = false } = options
  if (!dryRun && !yes && (output.json || !canAsk(context))) {
    throw misuse('Nobody can be asked here.', '--yes', 'Give --yes to forget it, or --dry-run to look.')
  }
  const { app } = await loadApp(options.app)
  const engine = await openLog(options.log ?? environment.MILLRACE_LOG ?? defaultLogUrl, handler, context)
  try {
    const { ForgetHandler } = await import('../../app/forget-handler.ts')
    await using forgetting = await ForgetHandler.open({ app, engine, runtime }, handler)
    const { left } = forgetting
    if (!output.json) for (const line of linesOf(handler, left)) await output.print(line)
    const agreed = !dryRun && (yes || (await ask(context)))
    if (agreed) await forgetting.drop()
    await tell(output, { handler, forgotten: agreed, dryRun, groups: left })
  } finally {
    await engine.close()
  }
}

async function openLog(location: string, handler: string, { runtime }: CommandContext): Promise<LogEngine> {
  const { engine, rest } = parseLogUrl(location)
  if (engine === 'lmdb' && !existsSync(join(rest, 'data.mdb'))) {
    throw new MillraceError('UNREACHABLE', `There is no log in '${rest}'.`, {
      where: location,
      fix: 'Name the log with --log.',
    })
  }
  try {
    return await openEngine(location, { runtime })
  } catch (error) {
    if (!isMillraceError(error, 'LOG_IN_USE')) throw error
    const { code, message, where, facts } = error
    const fix = `Stop that process and try again, or start the application once with --forget ${handler}.`
    throw new MillraceError(code, message, { where, fix, facts, cause: error })
  }
}

function canAsk({ standardInput }: CommandContext): boolean {
  return (standardInput as { readonly isTTY?: boolean }).isTTY === true
}

async function ask({ output, standardInput }: CommandContext): Promise<boolean> {
  const terminal = createInterface({ input: standardInput, output: output.stderr, terminal: false })
  try {
    const closed = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
    const answer = await Promise.race([terminal.question('Forget all of it for good? [y/N] '), closed])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

function linesOf(handler: string, groups: readonly LeftInGroup[]): readonly string[] {
  return groups.flatMap(
    ({ group, partitions, records, parkedKeys, deadLetters, stateValues, remembered }) => {
      const counts = [
        [records, 'record not done', 'records not done'],
        [parkedKeys, 'parked key', 'parked keys'],
        [deadLetters, 'open dead letter', 'open dead letters'],
        [stateValues, 'value of its state', 'values of its state'],
        [remembered, 'remembered result of once', 'remembered results of once'],
      ] as const
      const listed = counts.map(([count, one, many]) => `  ${count} ${count === 1 ? one : many}`)
      const where = `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`
      return [`Handler '${handler}' of the group '${group}', in ${where}:`, ...listed]
    },
  )
}

async function tell(
  output: Output,
  result: {
    readonly handler: string
    readonly forgotten: boolean
    readonly dryRun: boolean
    readonly groups: readonly LeftInGroup[]
  },
): Promise<void> {
  if (output.json) return output.printJson(result)
  await output.print(result.forgotten ? 'It is forgotten.' : 'Nothing was forgotten.')
}
