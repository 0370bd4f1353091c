import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { ruleset } from 'millrace/rules'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { checkRule } from '../../src/bus/rules/rule.ts'
import { compileExpression } from '../../src/rules/expression.ts'

const page = readFileSync('docs/rules.md', 'utf8')

test('the rule of docs/rules.md is one, with every part there is', () => {
  const [, text = ''] = /```json\n([\s\S]*?)```/.exec(page) ?? []
  const rule = checkRule(JSON.parse(text))
  expect(Object.keys(rule)).toHaveLength(7)
  expect(compileExpression(rule.when ?? '').variables).toEqual(['event'])
})

test('the expressions of docs/rules.md can be compiled', () => {
  const [, text = ''] = /## CEL[\s\S]*?```text\n([\s\S]*?)```/.exec(page) ?? []
  const lines = text.trim().split('\n')
  expect(lines.length).toBeGreaterThan(3)
  for (const line of lines) expect(compileExpression(line, { variables: ['event'] }).text).toBe(line)
})

test('the program of docs/rules.md concludes what it says', async () => {
  const programs = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, program = '']) => program)
  const program = programs.find((each) => each.includes('millrace/rules')) ?? ''
  const expected = [...program.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm)].map(([, said]) => said)
  const printed: string[] = []
  const log = (...values: readonly unknown[]) => {
    printed.push(
      values.map((each) => (typeof each === 'object' ? inspect(each, { breakLength: 200 }) : each)).join(' '),
    )
  }
  const body = `return (async () => {${program.replace(/^import .*$/gm, '')}})()`
  const run = new Function('ruleset', 'z', 'console', body) as (...tools: readonly unknown[]) => Promise<void>
  await run(ruleset, z, { log })
  expect(printed).toEqual(expected)
  expect(printed).toHaveLength(2)
})
