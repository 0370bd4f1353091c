import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { defaultLogUrl, parseLogUrl } from '../../app/open-engine.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Finding, VerificationProgress } from '../../log/verification.ts'
import { type CommandContext, misuse, withCommonOptions } from '../command.ts'
import { verifyApart } from '../doctor/verify-apart.ts'
import type { Output } from '../output.ts'

/** Adds `millrace doctor`. */
export function addDoctor(program: Command, context: () => CommandContext): void {
  const command = program
    .command('doctor')
    .description(
      'verify every record and index of a log that nobody has open; says what is damaged and what to do',
    )
    .option('--log <url>', 'the log (default: MILLRACE_LOG, or else lmdb:.millrace)')
  withCommonOptions(command).action(async (options: { readonly log?: string }) => {
    const given = context()
    const location = options.log ?? given.environment.MILLRACE_LOG ?? defaultLogUrl
    await examine(given, location, folderOf(location))
  })
}

function folderOf(location: string): string {
  const { engine, rest } = parseLogUrl(location)
  if (engine !== 'lmdb') {
    throw misuse(`There are no files of '${location}' to verify.`, '--log', "Name a log by 'lmdb:FOLDER'.")
  }
  if (existsSync(join(rest, 'data.mdb'))) return rest
  throw new MillraceError('UNREACHABLE', `There is no log in '${rest}'.`, {
    where: location,
    fix: 'Name the log with --log.',
  })
}

async function examine({ output, runtime }: CommandContext, location: string, folder: string): Promise<void> {
  const progress = new Progress(output, runtime)
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
  { counts, elapsedMs }: Progress,
  found: { readonly damage: number; readonly leftover: number },
): Promise<void> {
  const { rows, records, stateValues, bytes } = counts
  if (output.json) {
    const summary = { location, ...found, rows, records, stateValues, bytes, elapsedMs }
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

function count(number: number, what: string): string {
  return `${number} ${what}${number === 1 ? '' : 's'}`
}

const redrawMs = 100

/** What was seen so far: on a terminal a line on standard error with its rate. */
class Progress {
  readonly #output: Output
  readonly #runtime: Pick<Runtime, 'now'>
  readonly #startedMs: number
  #drawnMs = 0
  #isDrawn = false
  counts: VerificationProgress = { rows: 0, totalRows: 0, records: 0, stateValues: 0, bytes: 0 }

  constructor(output: Output, runtime: Pick<Runtime, 'now'>) {
    this.#output = output
    this.#runtime = runtime
    this.#startedMs = runtime.now()
  }

  get elapsedMs(): number {
    return Math.max(0, this.#runtime.now() - this.#startedMs)
  }

  show(counts: VerificationProgress): void {
    this.counts = { ...counts }
    const { stderr, json } = this.#output
    const nowMs = this.#runtime.now()
    if (json || stderr.isTTY !== true || nowMs - this.#drawnMs < redrawMs) return
    this.#drawnMs = nowMs
    this.#isDrawn = true
    const { rows, totalRows, bytes } = counts
    const share = Math.floor((100 * rows) / Math.max(1, totalRows))
    const seconds = Math.max(1, this.elapsedMs) / 1000
    const rate = `${Math.round(rows / seconds)} rows/s  ${(bytes / 1e6 / seconds).toFixed(1)} MB/s`
    const text = `${String(share).padStart(3)}%  ${rows} of ${totalRows} rows  ${rate}`
    stderr.write(`\r\x1b[K${text.slice(0, (stderr.columns || 80) - 1)}`)
  }

  clear(): void {
    if (this.#isDrawn) this.#output.stderr.write('\r\x1b[K')
    this.#isDrawn = false
  }
}
