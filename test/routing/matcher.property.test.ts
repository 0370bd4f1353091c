import fc from 'fast-check'
import { compilePattern, Matcher } from 'millrace/routing'
import { expect, test } from 'vitest'
import { referenceMatches } from './reference.ts'

type Pattern = Parameters<typeof referenceMatches>[0]

const runs = 1_000
/** Few letters, so that values meet; an accent and an emoji, so that texts are not all ASCII. */
const text = fc.oneof(
  fc.string({ unit: fc.constantFrom('a', 'b', 'A', '.', '*', '"', '\\'), maxLength: 4 }),
  fc.constantFrom('abab', 'é', '🚀a', '\u2028', 'toString', '10.0.0.1', '10.0.1.1', '1'),
)
const number = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(0.5, 1e21, -1.5e-7, 1e-7, 300))
const scalar = fc.oneof(text, number, fc.boolean(), fc.constant(null))
const name = fc.constantFrom('a', 'b', 'c', 'a.b', 'constructor', 'é"', 'ö')

const escaped = text.map((value) => value.replace(/[*\\]/g, '\\$&'))
const wildcard = fc
  .array(escaped, { minLength: 1, maxLength: 3 })
  .map((pieces) => pieces.join('*'))
  .filter((value) => !value.includes('**'))
const bound = fc.tuple(fc.constantFrom('=', '<', '<=', '>', '>='), number)
const range = fc
  .tuple(fc.constantFrom('>', '>='), number, fc.constantFrom('<', '<='), number)
  .filter(([, low, , high]) => low < high)
const ascii = fc.string({ unit: fc.constantFrom('a', 'b', 'A', 'B', '.'), maxLength: 3 })
const oneOrMore = <T>(values: fc.Arbitrary<T>) =>
  fc.oneof(values, fc.array(values, { minLength: 1, maxLength: 3 }))
const filled = text.filter((value) => value !== '')

const expression = fc.oneof(
  fc.record({ prefix: fc.oneof(text, fc.record({ 'equals-ignore-case': ascii })) }),
  fc.record({ suffix: fc.oneof(text, fc.record({ 'equals-ignore-case': ascii })) }),
  fc.record({ 'equals-ignore-case': ascii }),
  fc.record({ wildcard }),
  fc.record({ numeric: fc.oneof(bound, range) }),
  fc.record({ exists: fc.boolean() }),
  fc.record({ cidr: fc.constantFrom('10.0.0.0/24', '10.0.0.0/16', '10.0.1.1/31') }),
  fc.record({
    'anything-but': fc.oneof(
      oneOrMore(text),
      oneOrMore(number),
      fc.record({ prefix: oneOrMore(filled) }),
      fc.record({ suffix: oneOrMore(filled) }),
      fc.record({ 'equals-ignore-case': oneOrMore(ascii) }),
      fc.record({ wildcard }),
    ),
  }),
)
const values = fc.array(fc.oneof(scalar, expression), { minLength: 1, maxLength: 3 })

const { pattern } = fc.letrec<{ pattern: Pattern; field: Pattern[string] }>((tie) => ({
  pattern: fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(name, tie('field'), { minKeys: 1, maxKeys: 3 }) },
    {
      weight: 1,
      arbitrary: fc
        .array(tie('pattern'), { minLength: 2, maxLength: 3 })
        .map((choices) => ({ $or: choices })),
    },
  ),
  field: fc.oneof(
    { depthSize: 'small' },
    { weight: 3, arbitrary: values as fc.Arbitrary<Pattern[string]> },
    { weight: 1, arbitrary: tie('pattern') as fc.Arbitrary<Pattern[string]> },
  ),
}))

const { event } = fc.letrec<{ event: Pattern; value: Pattern[string] }>((tie) => ({
  event: fc.dictionary(name, tie('value'), { maxKeys: 4 }),
  value: fc.oneof(
    { depthSize: 'small' },
    { weight: 3, arbitrary: scalar as fc.Arbitrary<Pattern[string]> },
    { weight: 1, arbitrary: fc.array(tie('value'), { maxLength: 3 }) as fc.Arbitrary<Pattern[string]> },
    { weight: 1, arbitrary: tie('event') as fc.Arbitrary<Pattern[string]> },
  ),
}))

/** Patterns that are accepted; the few others are too complex, or name `$or` where it means something else. */
const accepted = pattern.filter((candidate) => {
  try {
    compilePattern(candidate)
    return true
  } catch {
    return false
  }
})

/** JSON text as others may write it: with white space, and with escapes where none are needed. */
const spaced = (value: unknown) => ` ${JSON.stringify(value, null, '\t')}\r\n`
const escapedText = (value: unknown) =>
  JSON.stringify(value).replace(/"(?:[^"\\]|\\.)*"/g, (text) => text.replace(/[aé🚀]/gu, escapes))
const escapes = (character: string) =>
  character
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('')
const written = fc.constantFrom(JSON.stringify, spaced, escapedText)

test('a pattern matches exactly what the reference says, from objects and from text', () => {
  fc.assert(
    fc.property(
      accepted,
      fc.array(event, { minLength: 1, maxLength: 4 }),
      written,
      (pattern, events, write) => {
        const compiled = compilePattern(pattern)
        for (const event of events) {
          const expected = referenceMatches(pattern, event)
          expect(compiled.matches(event)).toBe(expected)
          expect(compiled.matches(write(event))).toBe(expected)
        }
      },
    ),
    { numRuns: runs },
  )
})

/** Arrays of objects within arrays of objects, and patterns that reach into several of them. */
const few = fc.constantFrom('a', 'b', 'c')
const letter = fc.constantFrom('x', 'y')
const { element } = fc.letrec<{ element: Pattern }>((tie) => ({
  element: fc.dictionary(
    few,
    fc.oneof(
      { depthSize: 'medium' },
      { weight: 3, arbitrary: letter as fc.Arbitrary<Pattern[string]> },
      {
        weight: 2,
        arbitrary: fc.array(fc.oneof(letter, tie('element')), { maxLength: 3 }) as fc.Arbitrary<
          Pattern[string]
        >,
      },
    ),
    { maxKeys: 3 },
  ),
}))
const asked = fc.oneof(
  { weight: 3, arbitrary: letter.map((value) => [value]) },
  { weight: 1, arbitrary: fc.constant([{ exists: false }]) },
  { weight: 1, arbitrary: letter.map((value) => [value, { exists: false }]) },
)
const paths = fc.dictionary(
  fc.oneof(
    few,
    fc.tuple(few, few).map((names) => names.join('.')),
    fc.tuple(few, few, few).map((names) => names.join('.')),
  ),
  asked,
  { minKeys: 2, maxKeys: 5 },
)

test('fields within an array are matched within one of its elements', () => {
  fc.assert(
    fc.property(paths, fc.array(element, { minLength: 1, maxLength: 5 }), (pattern, events) => {
      const compiled = compilePattern(pattern)
      for (const event of events) {
        const expected = referenceMatches(pattern, event)
        expect(compiled.matches(event)).toBe(expected)
        expect(compiled.matches(JSON.stringify(event))).toBe(expected)
      }
    }),
    { numRuns: runs },
  )
})

test('a matcher matches what its patterns match alone, whatever was added and removed before', () => {
  const change = fc.record({
    pattern: accepted,
    value: fc.integer({ min: 0, max: 7 }),
    removes: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(change, event), { minLength: 1, maxLength: 25 }), (steps) => {
      const matcher = new Matcher<number>()
      const patterns = new Map<number, Pattern[]>()
      for (const [{ pattern, value, removes }, event] of steps) {
        if (removes) expect(matcher.remove(value)).toBe(patterns.delete(value))
        else {
          matcher.add(pattern, value)
          patterns.set(value, [...(patterns.get(value) ?? []), pattern])
        }
        const expected = [...patterns]
          .filter(([, all]) => all.some((pattern) => referenceMatches(pattern, event)))
          .map(([value]) => value)
        expect(matcher.match(event)).toEqual(expected)
        expect(matcher.match(JSON.stringify(event))).toEqual(expected)
        expect(matcher.size).toBe(patterns.size)
      }
    }),
    { numRuns: 200 },
  )
})
