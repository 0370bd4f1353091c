// How fast events find their patterns, from objects and from JSON text: npm run bench:routing -- [--only NAME] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CompiledPattern, compileFilter, Matcher } from 'millrace/routing'
import { machine } from './harness/machine.ts'
import { lots } from './routing/lots.ts'
import { ruleSets } from './routing/rules.ts'

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, json: { type: 'string' }, rounds: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 5)
const sliceMs = 120
const events = lots(2_000)
const texts = events.map((event) => JSON.stringify(event))
const averageBytes = Math.round(texts.reduce((sum, text) => sum + text.length, 0) / texts.length)

/** Calls `run` with the number of an event for so long; gives events for a second of this thread's processor time. */
function rate(run: (index: number) => unknown): number {
  const started = process.threadCpuUsage()
  let done = 0
  let elapsedMs = 0
  while (elapsedMs < sliceMs) {
    const until = done + Math.max(1, Math.min(256, done))
    for (; done < until; done += 1) run(done % events.length)
    const { user, system } = process.threadCpuUsage(started)
    elapsedMs = (user + system) / 1_000
  }
  return (done / elapsedMs) * 1_000
}

/** Everything that is measured of one set of patterns. */
function sides(patterns: readonly object[]): Readonly<Record<string, (index: number) => unknown>> {
  const compiled = patterns.map((pattern) => compileFilter(pattern))
  const matcher = new Matcher<CompiledPattern>()
  for (const pattern of compiled) matcher.add(pattern, pattern)
  check(matcher, compiled)
  return {
    parsed: (index) => matcher.match(events[index] ?? {}),
    text: (index) => matcher.match(texts[index] ?? ''),
    naive: (index) => compiled.filter((pattern) => pattern.matches(events[index] ?? {})),
    parse: (index) => JSON.parse(texts[index] ?? ''),
  }
}

/** A measurement of what finds something else than each pattern alone would be worth nothing. */
function check(matcher: Matcher<CompiledPattern>, compiled: readonly CompiledPattern[]): void {
  for (const [index, event] of events.slice(0, 20).entries()) {
    const expected = compiled.filter((pattern) => pattern.matches(event))
    for (const found of [matcher.match(event), matcher.match(texts[index] ?? '')]) {
      if (found.length !== expected.length || found.some((one, at) => one !== expected[at])) {
        throw new Error(`Event ${index} matches ${found.length} patterns, not ${expected.length}.`)
      }
    }
  }
}

const median = (numbers: readonly number[]) =>
  numbers.toSorted((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN

interface Line {
  readonly name: string
  readonly parsed: number
  readonly text: number
  readonly naive: number
  readonly parse: number
  readonly matched: number
}

function measure(name: string, patterns: readonly object[]): Line {
  const runs = Object.entries(sides(patterns))
  const rates = new Map<string, number[]>(runs.map(([side]) => [side, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const [side, run] of runs) {
      const measured = rate(run)
      // The first round warms up and does not count.
      if (round > 0) rates.get(side)?.push(measured)
    }
  }
  const of = (side: string) => median(rates.get(side) ?? [])
  const found = (index: number) => runs[0]?.[1](index) as readonly unknown[]
  const matched = events.reduce((sum, _, index) => sum + found(index).length, 0) / events.length
  return { name, parsed: of('parsed'), text: of('text'), naive: of('naive'), parse: of('parse'), matched }
}

const sets = [...ruleSets()].filter(([name]) => values.only?.some((only) => name.includes(only)) ?? true)
const lines: Line[] = []
console.log(
  `Events of ${averageBytes} bytes; medians of ${rounds} rounds, interleaved. Thousands of events a second.`,
)
console.log(
  'Another load on the machine moves all figures: trust the ratios, and take absolute ones where it is quiet.\n',
)
console.log(
  '| patterns | parsed | text | JSON.parse alone | text : JSON.parse | naive loop | parsed : naive | matched |',
)
console.log('|---|--:|--:|--:|--:|--:|--:|--:|')
for (const [name, patterns] of sets) {
  const line = measure(name, patterns)
  lines.push(line)
  const { parsed, text, parse, naive, matched } = line
  const k = (perSecond: number) => (perSecond / 1_000).toPrecision(3).replace(/\.0+$/, '')
  const ratio = (a: number, b: number) => (a / b).toPrecision(2)
  console.log(
    `| ${name} | ${k(parsed)} | ${k(text)} | ${k(parse)} | ${ratio(text, parse)} | ${k(naive)} | ${ratio(parsed, naive)} | ${matched.toPrecision(2)} |`,
  )
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine: machine(), averageBytes, lines }, null, 2)}\n`)
