import { readFileSync } from 'node:fs'
import { compilePattern, Matcher } from 'millrace/routing'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../src/core/errors.ts'

interface Case {
  readonly name: string
  readonly expected: 'match' | 'no-match' | 'invalid-pattern'
  readonly event: string
  readonly pattern: string
}

const cases = readFileSync(new URL('./fixtures/event-patterns.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Case)

describe('the verdicts of Amazon EventBridge, as localstack has recorded them', () => {
  test.each(cases.filter(({ expected }) => expected === 'invalid-pattern'))(
    '$name is refused',
    ({ pattern }) => {
      expect(() => compilePattern(pattern)).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }))
    },
  )

  test.each(cases.filter(({ expected }) => expected !== 'invalid-pattern'))(
    '$name: $expected',
    ({ pattern, event, expected }) => {
      const compiled = compilePattern(pattern)
      const [text, parsed] = [compiled.matches(event), compiled.matches(JSON.parse(event) as object)]
      expect({ text, parsed }).toEqual({ text: expected === 'match', parsed: expected === 'match' })
    },
  )

  test('hold with all patterns in one matcher', () => {
    const matcher = new Matcher<string>()
    for (const { name, pattern } of cases) {
      try {
        matcher.add(pattern, name)
      } catch (error) {
        expect(isMillraceError(error, 'PATTERN_INVALID')).toBe(true)
      }
    }
    for (const { name, event, expected } of cases) {
      if (expected !== 'invalid-pattern') {
        expect({ name, matches: matcher.match(event).includes(name) }).toEqual({
          name,
          matches: expected === 'match',
        })
      }
    }
  })
})
