import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { defaultLogUrl, parseLogUrl, shownLogUrl } from '../../app/open-engine.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Finding } from '../../log/verification.ts'
import { type CommandContext, misuse, withCommonOptions } from '../command.ts'
import { verifyApart } from '../doctor/verify-apart.ts'
import type { Output } from '../output.ts'
import { VerificationView } from '../verification-view.ts'

/** Adds `millrace doctor`. */
export function addDoctor(program: Command, context: () => CommandContext): void {
  const command = program
    .command('doctor')
    .description(
      'verify every record and index of a log that nobody has open; says what is damaged and what to do',
    )
    .option('--log <url>', 'the log (default: MILLRACE_LOG, or else lmdb:.millrace)')
    .option('--hash', 'show the hashes of all records and of all that handlers keep')
  withCommonOptions(command).action(async (options: { readonly log?: string; readonly hash?: boolean }) => {
    const given = context()
    const location = options.log ?? given.environment.MILLRACE_LOG ?? defaultLogUrl
    await examine(given, { location, folder: folderOf(location), showsHash: options.hash === true })
  })
}

function folderOf(location: string): string {
  const { engine, rest } = parseLogUrl(location)
  if (engine !== 'lmdb') {
    throw misuse(
      `There are no files of '${shownLogUrl(location)}' to verify.`,
      '--log',
      "Name a log by 'lmdb:FOLDER'.",
    )
  }
  if (existsSync(join(rest, 'data.mdb'))) return rest
  throw new MillraceError('UNREACHABLE', `There is no log in '${rest}'.`, {
    where: location,
    fix: 'Name the log with --log.',
  })
}

interface Examination {
  readonly location: string
  readonly folder: string
  readonly showsHash: boolean
}

async function examine(
  { output, runtime }: CommandContext,
  { location, folder, showsHash }: Examination,
): Promise<void> {
  const progress = new VerificationView(output, runtime)
  const found = { damage: 0, leftover: 0 }
  try {
    const findings = verifyApart(folder, (counts) => progress.show(counts))
    for await (const finding of findings) {
      found[finding.severity] += 1
      progress.clear()
      await report(output, finding)
    }
  } finally {
    progress.clear()
  }
  await summarize(output, location, progress, found)
  if (showsHash) await printHashes(output, progress)
  if (found.damage === 0) return
  throw new MillraceError('LOG_DAMAGED', `The log has ${count(found.damage, 'damaged place')}.`, {
    where: location,
    fix: 'Do for each what is said beside it; copy the folder first.',
    facts: found,
  })
}

async function report(output: Output, finding: Finding): Promise<void> {
  if (output.json) return output.printJson(finding)
  const { severity, kind, where, problem, fix } = finding
  await output.print(`${output.style(severity === 'damage' ? 'red' : 'yellow', kind)}  ${shown(where)}`)
  await output.print(`  ${shown(problem)}`)
  await output.print(`  ${fix}`)
}

/** Keys may hold whatever a publisher chose: what a terminal would obey is shown as its code. */
function shown(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1))
}

async function summarize(
  output: Output,
  location: string,
  { counts, elapsedMs }: VerificationView,
  found: { readonly damage: number; readonly leftover: number },
): Promise<void> {
  const { rows, records, stateValues, bytes, hashes } = counts
  if (output.json) {
    const summary = { location, ...found, rows, records, stateValues, bytes, hashes, elapsedMs }
    return output.printJson({ summary })
  }
  const seconds = (elapsedMs / 1000).toFixed(1)
  const megabytes = (bytes / 1e6).toFixed(1)
  const seen = `${count(records, 'record')}, ${count(stateValues, 'state value')}, ${count(rows, 'row')} in all`
  await output.print(`${location}: ${seen} (${megabytes} MB) in ${seconds} s`)
  if (found.leftover > 0) await output.print(`${count(found.leftover, 'leftover')} that harm nothing`)
  const verdict = found.damage === 0 ? 'nothing is damaged' : count(found.damage, 'damaged place')
  await output.print(output.style(found.damage === 0 ? 'green' : 'red', verdict))
}

async function printHashes(output: Output, { counts: { hashes } }: VerificationView): Promise<void> {
  if (output.json || hashes === undefined) return
  await output.print(`records  ${hashes.records}`)
  await output.print(`state    ${hashes.state}`)
}

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}
