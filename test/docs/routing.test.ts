import { readFileSync } from 'node:fs'
import { compileFilter, compilePattern } from 'millrace/routing'
import { expect, test } from 'vitest'

const page = readFileSync('docs/routing.md', 'utf8')
const rows = [...page.matchAll(/^\| `(.+)` \| `(.+)` \| (matches|no match) \|$/gm)].map(
  ([, pattern = '', event = '', verdict]) => ({ pattern, event, verdict }),
)

test('the page of routing has rows to run', () => {
  expect(rows.length).toBeGreaterThan(40)
})

test.each(rows)('docs/routing.md: $pattern and $event: $verdict', ({ pattern, event, verdict }) => {
  const isFilter = /"(type|subject)":"/.test(pattern)
  const compiled = isFilter ? compileFilter(pattern) : compilePattern(pattern)
  expect(compiled.matches(event)).toBe(verdict === 'matches')
  expect(compiled.matches(JSON.parse(event) as object)).toBe(verdict === 'matches')
})

test('the program of docs/routing.md prints what it says', async () => {
  const program = /```ts\n([\s\S]*?)```/.exec(page)?.[1] ?? ''
  const expected = [...program.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, value]) => value)
  const printed: string[] = []
  const { inspect } = await import('node:util')
  const { Matcher } = await import('millrace/routing')
  const body = program.replace(/^import .*$/m, '').replaceAll('<string>', '')
  const run = new Function('compileFilter', 'compilePattern', 'Matcher', 'console', body) as (
    ...tools: readonly unknown[]
  ) => void
  run(compileFilter, compilePattern, Matcher, { log: (value: unknown) => printed.push(inspect(value)) })
  expect(printed).toEqual(expected)
  expect(printed).toHaveLength(4)
})
