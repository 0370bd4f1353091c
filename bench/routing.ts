// How fast events find their patterns, from objects and from JSON text: npm run bench:routing -- [--only NAME] [--json FILE]
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { type CompiledPattern, compileFilter, Matcher } from 'millrace/routing'
import { compileExpression } from 'millrace/rules'
import { machine } from './harness/machine.ts'
import { type RuleSet, ruleSets } from './routing/rules.ts'

const { values } = parseArgs({
  options: { only: { type: 'string', multiple: true }, json: { type: 'string' }, rounds: { type: 'string' } },
})
const rounds = Number(values.rounds ?? 5)
const sliceMs = 120

/** Calls `run` with one input after the other for so long; gives calls for a second of this thread's processor time. */
function rate<T>(inputs: readonly T[], run: (input: T) => unknown): number {
  const started = process.threadCpuUsage()
  let done = 0
  let elapsedMs = 0
  while (elapsedMs < sliceMs) {
    const until = done + Math.max(1, Math.min(256, done))
    for (; done < until; done += 1) run(inputs[done % inputs.length] as T)
    const { user, system } = process.threadCpuUsage(started)
    elapsedMs = (user + system) / 1_000
  }
  return (done / elapsedMs) * 1_000
}

/**
 * The median rate of several rounds after one that warms up. They follow one another: what another side leaves in the caches of
 * the processor is not measured.
 */
function block<T>(inputs: readonly T[], run: (input: T) => unknown, count = rounds): number {
  const rates = Array.from({ length: count + 1 }, () => rate(inputs, run)).slice(1)
  return rates.sort((a, b) => a - b)[rates.length >> 1] ?? Number.NaN
}

/** A measurement of what finds something else than each pattern alone would be worth nothing. */
function check(matcher: Matcher<CompiledRule>, compiled: readonly CompiledRule[], events: readonly object[]) {
  for (const [index, event] of events.slice(0, 20).entries()) {
    const expected = compiled.filter((rule) => rule.matches(event))
    for (const found of [matcher.match(event), matcher.match(JSON.stringify(event))]) {
      if (found.length !== expected.length || found.some((one, at) => one !== expected[at])) {
        throw new Error(`Event ${index} matches ${found.length} patterns, not ${expected.length}.`)
      }
    }
  }
}

/** A pattern with its further condition, if it has one. */
interface CompiledRule {
  readonly pattern: CompiledPattern
  readonly when?: (event: object) => boolean
  matches(event: object): boolean
}

function compile(pattern: object, condition: string | undefined): CompiledRule {
  const compiled = compileFilter(pattern)
  if (condition === undefined) return { pattern: compiled, matches: (event) => compiled.matches(event) }
  const expression = compileExpression(condition)
  const when = (event: object) => {
    const outcome = expression.evaluate({ event })
    return outcome.ok && outcome.value === true
  }
  return { pattern: compiled, when, matches: (event) => compiled.matches(event) && when(event) }
}

interface Line {
  readonly name: string
  readonly averageBytes: number
  readonly parsed: number
  readonly text: number
  readonly naive: number
  readonly parse: number
  readonly matched: number
}

function measure(name: string, { patterns, conditions, events }: RuleSet): Line {
  const texts = events.map((event) => JSON.stringify(event))
  const averageBytes = Math.round(texts.reduce((sum, text) => sum + text.length, 0) / texts.length)
  const compiled = patterns.map((pattern, index) => compile(pattern, conditions?.[index]))
  const matcher = new Matcher<CompiledRule>()
  for (const rule of compiled)
    matcher.add(rule.pattern, rule, rule.when === undefined ? {} : { when: rule.when })
  const parsed = block(events, (event) => matcher.match(event))
  const text = block(texts, (event) => matcher.match(event))
  const parse = block(texts, (event) => JSON.parse(event))
  const matched = events.reduce((sum, event) => sum + matcher.match(event).length, 0) / events.length
  check(matcher, compiled, events)
  const naive = block(events, (event) => compiled.filter((rule) => rule.matches(event)), 1)
  return { name, averageBytes, parsed, text, naive, parse, matched }
}

const sets = [...ruleSets()].filter(([name]) => values.only?.some((only) => name.includes(only)) ?? true)
const lines: Line[] = []
console.log(`Thousands of events for a second of the thread's processor time; medians of ${rounds} rounds.`)
console.log(
  'Another load on the machine moves all figures: trust the ratios, and take absolute ones where it is quiet.\n',
)
console.log(
  '| patterns | parsed | text | JSON.parse alone | text : JSON.parse | naive loop | parsed : naive | matched |',
)
console.log('|---|--:|--:|--:|--:|--:|--:|--:|')
for (const [name, make] of sets) {
  const line = measure(name, make())
  lines.push(line)
  const { parsed, text, parse, naive, matched } = line
  const k = (perSecond: number) => (perSecond / 1_000).toPrecision(3).replace(/\.0+$/, '')
  const ratio = (a: number, b: number) => (a / b).toPrecision(2)
  console.log(
    `| ${name} | ${k(parsed)} | ${k(text)} | ${k(parse)} | ${ratio(text, parse)} | ${k(naive)} | ${ratio(parsed, naive)} | ${matched.toPrecision(2)} |`,
  )
}
if (values.json !== undefined)
  writeFileSync(values.json, `${JSON.stringify({ machine: machine(), lines }, null, 2)}\n`)
