// Which branches of the processor seeds of the simulation take: npm run simulate:coverage [-- --seeds 60 --under src/bus]
//
// Node.js writes what V8 counted in the worker processes of `npm run torture`; ranges that were never entered are shown.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

interface Range {
  readonly startOffset: number
  readonly endOffset: number
  readonly count: number
}

interface Report {
  readonly result: readonly {
    readonly url: string
    readonly functions: readonly { readonly ranges: readonly Range[] }[]
  }[]
}

const { values } = parseArgs({
  options: { seeds: { type: 'string', default: '60' }, under: { type: 'string', default: 'src/bus' } },
})
const root = fileURLToPath(new URL('..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'millrace-coverage-'))

/** For each file, by character, whether some process entered it. */
function enteredIn(reports: readonly string[]): ReadonlyMap<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  for (const name of reports) {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8')) as Report
    for (const { url, functions } of result) {
      if (!url.startsWith('file://')) continue
      const file = relative(root, fileURLToPath(url))
      if (!file.startsWith(`${values.under}/`)) continue
      // Node.js puts spaces in place of types, so offsets are those of the source.
      const length = readFileSync(join(root, file), 'utf8').length
      const here = new Uint8Array(length).fill(1)
      const ranges = functions.flatMap((each) => each.ranges)
      // Ranges are nested, and the inner one counts.
      ranges.sort((a, b) => b.endOffset - b.startOffset - (a.endOffset - a.startOffset))
      for (const { startOffset, endOffset, count } of ranges)
        here.fill(count > 0 ? 1 : 0, startOffset, endOffset)
      const known = files.get(file)
      files.set(file, known === undefined ? here : known.map((entered, at) => entered | (here[at] ?? 0)))
    }
  }
  return files
}

/** The lines with code that nothing entered. */
function missedLines(file: string, entered: Uint8Array): number[] {
  const missed: number[] = []
  let at = 0
  for (const [index, line] of readFileSync(join(root, file), 'utf8').split('\n').entries()) {
    const first = at + line.length - line.trimStart().length
    const isCode = /[a-z(]/i.test(line) && !/^\s*(\/\/|\/?\*)/.test(line)
    if (isCode && entered[first] === 0) missed.push(index + 1)
    at += line.length + 1
  }
  return missed
}

function ranges(lines: readonly number[]): string {
  const found: [number, number][] = []
  for (const line of lines) {
    const last = found.at(-1)
    if (last !== undefined && last[1] + 1 === line) last[1] = line
    else found.push([line, line])
  }
  return found.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ')
}

try {
  const args = ['-C', 'millrace-source', 'scripts/torture.ts', '--seeds', values.seeds, '--rounds', '0']
  const env = { ...process.env, NODE_V8_COVERAGE: folder }
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  if (status !== 0) process.exitCode = 1
  const files = [...enteredIn(readdirSync(folder))].sort(([one], [other]) => (one < other ? -1 : 1))
  let all = 0
  let allMissed = 0
  for (const [file, entered] of files) {
    const lines = readFileSync(join(root, file), 'utf8').split('\n').length
    const missed = missedLines(file, entered)
    all += lines
    allMissed += missed.length
    if (missed.length > 0) console.log(`${file}: ${ranges(missed)}`)
  }
  const share = (100 * (all - allMissed)) / Math.max(1, all)
  console.log(`${values.under}: ${share.toFixed(1)}% of ${all} lines entered by ${values.seeds} seeds`)
} finally {
  rmSync(folder, { recursive: true, force: true })
}
