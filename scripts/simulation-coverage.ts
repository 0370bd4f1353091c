// Which branches of the processor seeds of the simulation take: npm run simulate:coverage [-- --seeds 1400 --under src/bus]
//
// Node.js writes what V8 counted in the worker processes of `npm run torture`. Shown are the branches that were never entered: by the
// line where each begins, bodies of functions and `if`s, arms of `?:`, right sides of `&&`, `||` and `??`, cases, loops, `catch`. What seeds
// reach depends on nothing else, so the figure is the same every time: by default 100 seeds of each application are simulated.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { isNode, lineAt, parse, type SyntaxNode, walk } from './house/source.ts'

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
  options: { seeds: { type: 'string', default: '1400' }, under: { type: 'string', default: 'src/bus' } },
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

/** Where the branches of a program begin, in order. What is not written, such as an `else` that is not there, is not among them. */
function branchesOf(program: SyntaxNode): number[] {
  const starts = new Set<number>()
  const add = (node: unknown): void => {
    if (isNode(node)) starts.add(node.start)
  }
  walk(program, (node) => {
    if (node.type === 'LogicalExpression') add(node.right)
    else if (node.type === 'SwitchCase') add(Array.isArray(node.consequent) ? node.consequent[0] : undefined)
    else if (isNode(node.test)) {
      add(node.consequent)
      add(node.alternate)
      add(node.body)
    } else if (bodied.test(node.type)) add(node.body)
  })
  return [...starts].sort((one, other) => one - other)
}

const bodied =
  /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|CatchClause|ForOfStatement|ForInStatement)$/

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
  const args = [
    '-C',
    'millrace-source',
    'scripts/torture.ts',
    '--seeds',
    values.seeds,
    '--rounds',
    '0',
    '--chaos',
    '0',
  ]
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
    const { program, text } = parse(file, readFileSync(join(root, file), 'utf8'))
    const branches = branchesOf(program)
    const missed = branches.filter((start) => entered[start] === 0)
    all += branches.length
    allMissed += missed.length
    const lines = [...new Set(missed.map((start) => lineAt(text, start)))]
    if (missed.length > 0) console.log(`${file}: ${missed.length} of ${branches.length}, at ${ranges(lines)}`)
  }
  const share = (100 * (all - allMissed)) / Math.max(1, all)
  console.log(
    `${values.under}: ${share.toFixed(1)}% of ${all} branches entered by ${values.seeds} seeds; ${allMissed} never`,
  )
} finally {
  rmSync(folder, { recursive: true, force: true })
}
