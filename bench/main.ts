// Millrace beside its limits and its peers, in one table: npm run bench -- --help
import { rmSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from 'millrace'
import { benchApp, fill } from './harness/bench-app.ts'
import { machine, versions } from './harness/machine.ts'
import { help, type Options, parseOptions } from './harness/options.ts'
import { Progress } from './harness/progress.ts'
import type { Row, Settings } from './harness/row.ts'
import { loadRow, rowNames } from './harness/rows.ts'
import { type Line, runRow } from './harness/run-row.ts'
import { ensureServer, type Server, startServer } from './harness/servers.ts'
import { oneLine, table } from './harness/table.ts'

const progress = new Progress()

async function main(options: Options): Promise<void> {
  if (options.list) return console.log(rowNames.join('\n'))
  const unknown = options.only.filter((name) => !(rowNames as readonly string[]).includes(name))
  if (unknown.length > 0) throw new TypeError(`There is no row '${unknown.join("', '")}'; --list names them.`)
  const names = rowNames.filter((name) => options.only.length === 0 || options.only.includes(name))
  const folder = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
  const skipped: string[] = []
  process.once('SIGINT', () => {
    rmSync(folder, { recursive: true, force: true })
    process.exit(130)
  })
  try {
    await fillLog(join(folder, 'log'), options.prefill)
    const lines: Line[] = []
    for (const [index, name] of names.entries()) {
      const told = (text: string) => progress.tell(`${index + 1}/${names.length} ${name}: ${text}`)
      const measured = await attempt(name, { ...options, folder, ports: {} }, told, skipped)
      for (const line of measured) progress.say(oneLine(line))
      lines.push(...measured)
    }
    progress.end()
    await report(lines, skipped, options)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** The log that every side begins with a copy of. */
async function fillLog(folder: string, events: number): Promise<void> {
  const running = await start(benchApp(), { log: `lmdb:${folder}` })
  await fill(running, events, (count) => progress.tell(`filling a log: ${count} of ${events} events`))
  await running.stop()
}

/** A row that fails does not take the others with it. */
async function attempt(
  name: string,
  settings: Settings,
  told: (text: string) => void,
  skipped: string[],
): Promise<readonly Line[]> {
  try {
    return await runWithServer(await loadRow(name), settings, told, skipped)
  } catch (error) {
    progress.say(`${name} FAILED: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
    skipped.push(`FAILED ${name}`)
    process.exitCode = 1
    return []
  }
}

async function runWithServer(
  row: Row,
  settings: Settings,
  told: (text: string) => void,
  skipped: string[],
): Promise<readonly Line[]> {
  const { server: name } = row
  if (name === undefined) return runRow(row, settings, told)
  if (!ensureServer(name)) {
    skipped.push(`SKIPPED ${row.name}: ${name} cannot be had here.`)
    return []
  }
  const server: Server = await startServer(name, settings.folder)
  try {
    return await runRow(row, { ...settings, ports: { [name]: server.port } }, told)
  } finally {
    await server.stop()
    await rm(join(settings.folder, name), { recursive: true, force: true })
  }
}

async function report(lines: readonly Line[], skipped: readonly string[], options: Options): Promise<void> {
  const { cpu, cores, memoryGiB, disk } = machine()
  console.log(
    `${cores} cores (${cpu}), ${memoryGiB} GiB, ${disk}; Node.js ${process.versions.node}; ` +
      `medians of ${options.rounds}; ${options.prefill} events in the log beforehand\n`,
  )
  console.log(table(lines))
  for (const line of skipped) console.log(`\n${line}`)
  if (options.json === undefined) return
  const rows = lines.map(({ name, ours, peer, ratio, unit, peerIs, goal, isMet }) => {
    return { name, ours, peer, ratio, unit, beside: peerIs, goal, met: isMet }
  })
  const document = { machine: machine(), versions: versions(), date: new Date().toISOString(), rows }
  await writeFile(options.json, `${JSON.stringify(document, undefined, 2)}\n`)
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options === undefined) console.log(help)
  else await main(options)
} catch (error) {
  progress.end()
  console.error(error instanceof TypeError ? `${error.message}\n\n${help}` : error)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
