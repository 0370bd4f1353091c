import { readFileSync } from 'node:fs'
import { compilePattern, Matcher } from 'millrace/routing'
import { describe, expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'

/** What a pattern is about, its text, and the texts of events that match it and that do not; without any, it is refused. */
type Fact = readonly [
  about: string,
  pattern: string,
  matching?: readonly string[],
  others?: readonly string[],
]

const facts = readFileSync(new URL('./fixtures/facts.jsonl', import.meta.url), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line) as Fact)

const abouts = [...new Set(facts.map(([about]) => about))]
const valid = facts.filter(([, , matching]) => matching !== undefined)

describe.each(abouts)('facts about %s', (wanted) => {
  const own = facts.filter(([about]) => about === wanted)

  test('what is no pattern is refused', () => {
    const refused = own.filter(([, , matching]) => matching === undefined)
    const accepted = refused.filter(([, pattern]) => !isRefused(pattern)).map(([, pattern]) => pattern)
    expect(accepted).toEqual([])
  })

  test('events match from their text, from its bytes and from what JSON.parse makes of it', () => {
    const wrong = own.flatMap(([, pattern, matching, others = []]) => {
      if (matching === undefined) return []
      const { matches } = compilePattern(pattern)
      const verdict = (event: string, expected: boolean) => {
        const found = [event, Buffer.from(event), JSON.parse(event) as object].map((form) => matches(form))
        return found.every((one) => one === expected) ? [] : [{ pattern, event, expected, found }]
      }
      return [
        ...matching.flatMap((event) => verdict(event, true)),
        ...others.flatMap((event) => verdict(event, false)),
      ]
    })
    expect(wrong).toEqual([])
  })
})

test('all facts hold with all patterns in one matcher', () => {
  const matcher = new Matcher<string>()
  for (const [, pattern] of valid) matcher.add(pattern, pattern)
  const wrong = valid.flatMap(([, pattern, matching = [], others = []]) => [
    ...matching.filter((event) => !matcher.match(event).includes(pattern)),
    ...others.filter((event) => matcher.match(event).includes(pattern)),
  ])
  expect(wrong).toEqual([])
})

function isRefused(pattern: string): boolean {
  try {
    compilePattern(pattern)
    return false
  } catch (error) {
    return error instanceof MillraceError && error.code === 'PATTERN_INVALID'
  }
}
