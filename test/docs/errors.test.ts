import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/core/errors.ts'

const sections = new Map(
  readFileSync('docs/errors.md', 'utf8')
    .split(/^## /m)
    .slice(1)
    .map((section): readonly [string, string] => [section.slice(0, section.indexOf('\n')), section]),
)
const codes = Object.keys(errorCodes) as ErrorCode[]

test('docs/errors.md has a heading for every code, and for nothing else', () => {
  expect([...sections.keys()]).toEqual([...codes].sort())
})

test('the registry is in alphabetical order', () => {
  expect(codes).toEqual([...codes].sort())
})

test.each(codes)(
  'the page of %s states status and retrying as the registry does, and the three parts',
  (code) => {
    const { retryable, status } = errorCodes[code]
    const section = sections.get(code)
    expect(section).toContain(`\nStatus ${status}, ${retryable ? 'retryable' : 'not retryable'}.\n`)
    for (const part of ['Meaning', 'Cause', 'What to do']) {
      expect(section).toMatch(new RegExp(`^\\*\\*${part}\\.\\*\\* \\S.*\\.$`, 'm'))
    }
  },
)
