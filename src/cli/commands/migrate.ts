import { resolve } from 'node:path'
import type { Command } from 'commander'
import {
  abandonMove,
  checkEnds,
  type MovedLog,
  type MoveOptions,
  moveLog,
} from '../../app/moving/move-log.ts'
import { surveyLog } from '../../app/moving/survey.ts'
import { defaultLogUrl, openExport, openImport, parseLogUrl, shownLogUrl } from '../../app/open-engine.ts'
import type { LogExport, LogImport } from '../../log/moving.ts'
import { type CommandContext, misuse, withCommonOptions } from '../command.ts'
import { MoveView } from '../migrate/move-view.ts'
import type { Output } from '../output.ts'

interface MigrateOptions {
  readonly from?: string
  readonly to: string
  readonly dryRun?: true
  readonly copy?: true
  readonly abandon?: true
}

/** Adds `millrace migrate`. */
export function addMigrate(program: Command, context: () => CommandContext): void {
  const command = program
    .command('migrate')
    .description('move a log into another engine; the application goes on there from where it was')
    .option(
      '--from <url>',
      `the log, which nobody may have open (default: MILLRACE_LOG, else ${defaultLogUrl})`,
    )
    .requiredOption(
      '--to <url>',
      'where it is to be, such as postgres://host/database; nothing may be there yet',
    )
    .option('--dry-run', 'only say what would be moved')
    .option('--copy', 'leave the log usable where it is, too')
    .option('--abandon', 'give up a migration that is not finished')
  withCommonOptions(command).action(async (options: MigrateOptions) => await migrate(options, context()))
}

type Ends = Pick<MoveOptions, 'source' | 'target'>

async function migrate(options: MigrateOptions, context: CommandContext): Promise<void> {
  const from = options.from ?? context.environment.MILLRACE_LOG ?? defaultLogUrl
  if (options.abandon && (options.dryRun || options.copy)) {
    throw misuse('--abandon stands alone.', '--abandon', 'Leave the other options away.')
  }
  if (from === options.to) {
    throw misuse('Both URLs name the same log.', '--to', 'Name another place for the log.')
  }
  await withEnds(from, options.to, context, async (ends) => {
    if (options.abandon) return await abandon(ends, context.output)
    if (options.dryRun) return await tell(ends, context.output)
    await move(ends, options, context)
  })
}

/** Opens both ends, works with them, and lets go of them however that ends. */
async function withEnds(
  from: string,
  to: string,
  { runtime }: CommandContext,
  work: (ends: Ends) => Promise<void>,
): Promise<void> {
  const source = await openExport(from, { runtime })
  try {
    const target = await openImport(to, { runtime })
    try {
      await work({ source: endOf(source, from), target: endOf(target, to) })
    } finally {
      await target.close()
    }
  } finally {
    await source.close()
  }
}

/** The other end notes the name, and is perhaps read from another folder. */
function endOf<Log extends LogExport | LogImport>(log: Log, url: string) {
  const { engine, rest } = parseLogUrl(url)
  return { log, name: engine === 'lmdb' ? `lmdb:${resolve(rest)}` : shownLogUrl(url) }
}

function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`
}

async function abandon(ends: Ends, output: Output): Promise<void> {
  const { source, target } = ends
  const begun = source.log.mark !== undefined || target.log.found === 'import'
  await abandonMove(ends)
  const location = source.name
  if (output.json) return await output.printJson({ location, abandoned: begun })
  await output.print(
    begun
      ? `${location}: the migration is given up, and nothing is left at ${target.name}`
      : `${location}: no migration has begun`,
  )
}

async function tell(ends: Ends, output: Output): Promise<void> {
  const { source, target } = ends
  checkEnds(ends)
  const { topics, offsets, groups, partitions } = await surveyLog(source.log)
  const counts = { topics: topics.length, records: offsets, groups: groups.length, partitions }
  if (output.json)
    return await output.printJson({ from: source.name, to: target.name, dryRun: true, ...counts })
  await output.print(
    `${source.name}: ${counted(counts.topics, 'topic')}, ${counted(offsets, 'record')} at most, the state of ${counted(counts.groups, 'group')} in ${counted(partitions, 'partition')}`,
  )
  await output.print(`Nothing was moved. It can be moved to ${target.name}.`)
}

async function move(ends: Ends, options: MigrateOptions, context: CommandContext): Promise<void> {
  const { output, runtime } = context
  const view = new MoveView(output, runtime)
  const onProgress = (progress: Parameters<MoveView['show']>[0]) => view.show(progress)
  const keepSource = options.copy === true
  const moved = await moveLog({ ...ends, runtime, keepSource, onProgress }).finally(() => view.end())
  await summarize(ends, moved, output)
}

async function summarize(
  { source, target }: Ends,
  moved: MovedLog | undefined,
  output: Output,
): Promise<void> {
  const [from, to] = [source.name, target.name]
  if (output.json) return await output.printJson({ from, to, finishedBefore: moved === undefined, ...moved })
  if (moved === undefined) return await output.print(`${to}: everything was moved before`)
  const { topics, records, stateValues, groups, ids, hashes } = moved
  await output.print(
    `${to}: ${counted(topics, 'topic')}, ${counted(records, 'record')}, ${counted(stateValues, 'state value')} of ${counted(groups, 'group')}, verified`,
  )
  if (ids.lost > 0)
    output.warning(`${counted(ids.lost, 'id')} of records that were trimmed cannot be known there.`)
  await output.print(`records  ${hashes.records}`)
  await output.print(`state    ${hashes.state}`)
}
