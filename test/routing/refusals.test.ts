import { compileFilter, compilePattern } from 'millrace/routing'
import { expect, test } from 'vitest'
import { MillraceError } from '../../src/core/errors.ts'

const refused: readonly (readonly [pattern: unknown, where: string])[] = [
  ['', 'the pattern'],
  ['[1]', 'the pattern'],
  ['{"a":[1]} x', 'the pattern'],
  ["{'a':[1]}", 'the pattern'],
  [null, 'the pattern'],
  [{}, 'the pattern'],
  [{ a: {} }, 'a'],
  [{ a: { b: {} } }, 'a.b'],
  [{ a: [] }, 'a'],
  [{ a: 1 }, 'a'],
  [{ a: { b: 'x' } }, 'a.b'],
  [{ a: null }, 'a'],
  [{ a: [1, [2]] }, 'a[1]'],
  [{ a: [{}] }, 'a[0]'],
  [{ a: [{ prefix: 'x', suffix: 'y' }] }, 'a[0]'],
  [{ a: [{ Prefix: 'x' }] }, 'a[0]'],
  [{ a: [{ constructor: 'x' }] }, 'a[0]'],
  [{ a: [{ prefix: 1 }] }, 'a[0].prefix'],
  [{ a: [{ prefix: ['x'] }] }, 'a[0].prefix'],
  [{ a: [{ prefix: { suffix: 'x' } }] }, 'a[0].prefix'],
  [{ a: [{ suffix: { 'equals-ignore-case': 1 } }] }, 'a[0].suffix.equals-ignore-case'],
  [{ a: [{ 'equals-ignore-case': ['x'] }] }, 'a[0].equals-ignore-case'],
  [{ a: [{ exactly: 1 }] }, 'a[0].exactly'],
  [{ a: [{ exists: 'yes' }] }, 'a[0].exists'],
  [{ a: [{ wildcard: 'a**b' }] }, 'a[0].wildcard'],
  [{ a: [{ wildcard: 'a\\b' }] }, 'a[0].wildcard'],
  [{ a: [{ wildcard: 'a\\' }] }, 'a[0].wildcard'],
  [{ a: ['x', { wildcard: '*a*a*a*a*a*a*' }] }, 'a'],
  [{ a: ['*b', '*c', '*d', '*e', '*f', '*g'].map((wildcard) => ({ wildcard })) }, 'a'],
  [{ a: [{ wildcard: '*aaaaaaaaaa' }] }, 'a'],
  [{ a: [{ 'anything-but': { wildcard: ['x', '*aaaaaaaaaa'] } }] }, 'a'],
  [{ b: [1], $or: ['*b', '*c', '*d', '*e', '*f', '*g'].map((wildcard) => ({ a: [{ wildcard }] })) }, 'a'],
  [{ a: [{ numeric: 1 }] }, 'a[0].numeric'],
  [{ a: [{ numeric: [] }] }, 'a[0].numeric'],
  [{ a: [{ numeric: ['>', 1, '<'] }] }, 'a[0].numeric'],
  [{ a: [{ numeric: ['=', '1'] }] }, 'a[0].numeric[1]'],
  [{ a: [{ numeric: ['==', 1] }] }, 'a[0].numeric[0]'],
  [{ a: [{ numeric: ['=', 1, '<', 2] }] }, 'a[0].numeric[0]'],
  [{ a: [{ numeric: ['<', 5, '>', 1] }] }, 'a[0].numeric[0]'],
  [{ a: [{ numeric: ['>', 1, '>', 2] }] }, 'a[0].numeric[2]'],
  [{ a: [{ numeric: ['>', 1, '<', 1] }] }, 'a[0].numeric'],
  ['{"a":[{"numeric":["<",1e999]}]}', 'a[0].numeric[1]'],
  ['{"a":[{"numeric":["=",12345678901234567891]}]}', 'a[0].numeric[1]'],
  ['{"a":[{"numeric":["=",9999999999999999]}]}', 'a[0].numeric[1]'],
  [{ a: [{ cidr: '10.0.0.0' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: '10.0.0.0/32' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: '10.0.0.0/-1' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: '10.0.0.256/8' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: '1::2::3/8' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: '::/128' }] }, 'a[0].cidr'],
  [{ a: [{ cidr: 10 }] }, 'a[0].cidr'],
  [{ a: [{ 'anything-but': null }] }, 'a[0].anything-but'],
  [{ a: [{ 'anything-but': [] }] }, 'a[0].anything-but'],
  [{ a: [{ 'anything-but': ['x', 1] }] }, 'a[0].anything-but'],
  [{ a: [{ 'anything-but': ['x', true] }] }, 'a[0].anything-but[1]'],
  [{ a: [{ 'anything-but': {} }] }, 'a[0].anything-but'],
  [{ a: [{ 'anything-but': { numeric: ['=', 1] } }] }, 'a[0].anything-but'],
  [{ a: [{ 'anything-but': { prefix: '' } }] }, 'a[0].anything-but.prefix'],
  [{ a: [{ 'anything-but': { suffix: ['x', ''] } }] }, 'a[0].anything-but.suffix[1]'],
  [{ a: [{ 'anything-but': { wildcard: ['*', '**'] } }] }, 'a[0].anything-but.wildcard[1]'],
  [{ a: [{ 'anything-but': { prefix: 'x', suffix: 'y' } }] }, 'a[0].anything-but'],
  [{ $or: [{ a: [1] }] }, '$or[0]'],
  [{ $or: [] }, '$or'],
  [{ $or: [{ a: [1] }, {}] }, '$or[1]'],
  [{ b: { $or: [{ a: [1] }, { c: 1 }] } }, 'b.$or[1].c'],
  [{ $or: [{ a: { prefix: ['x'] } }, { b: [1] }] }, '$or[0].a.prefix'],
  [{ $or: [{ a: [1] }, { $or: ['x'] }] }, '$or[1].$or'],
  [{ $or: [{ a: [1] }, { b: { $or: { c: [1] } } }] }, '$or[1].b.$or'],
  [{ a: { $or: { b: [1] } }, $or: [{ c: [1] }, { d: [1] }] }, 'a.$or'],
  [{ a: Object.fromEntries([['b.'.repeat(70), [1]]]) }, `a.${'b.'.repeat(70)}`],
  [{ type: 'order.*' }, 'type'],
]

test.each(refused)('%j is refused, at %s', (pattern, where) => {
  const refusal = (() => {
    try {
      return compilePattern(pattern as string)
    } catch (error) {
      return error
    }
  })()
  expect(refusal).toBeInstanceOf(MillraceError)
  expect(refusal).toMatchObject({ code: 'PATTERN_INVALID', where })
})

test.each([
  [{ a: [{ wildcard: '*aaaaaaaaa' }] }],
  [{ a: ['*b', '*c', '*d', '*e', '*f'].map((wildcard) => ({ wildcard })) }],
  [{ a: [{ 'anything-but': { wildcard: ['*b', '*c', '*d', '*e', '*f', '*g'] } }] }],
  [{ $or: [0, 1, 2, 3, 4, 5].map((A) => ({ A: [A], a: [{ wildcard: `*${A}` }] })) }],
  [{ a: [{ wildcard: '*aaaaaaa' }], b: [{ wildcard: '*aaaaaaa' }] }],
])('the wildcards of %j are not too complex', (pattern) => {
  expect(compilePattern(pattern).matches({ c: 1 })).toBe(false)
})

test('a pattern whose choices multiply beyond 1,000 combinations is refused before they are made', () => {
  const choice = (name: string) => ({ $or: [0, 1, 2, 3].map((value) => ({ [name]: [value] })) })
  const nested = Object.fromEntries(Array.from({ length: 40 }, (_, level) => [`level${level}`, choice('a')]))
  expect(() => compilePattern(nested)).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }))
})

test.each([
  [{ type: 'order..x' }, 'type'],
  [{ type: 'order.>.x' }, 'type'],
  [{ subject: 'or*' }, 'subject'],
  [{ type: 'a', data: 'b' }, 'data'],
  [{ source: 'a' }, 'source'],
  [{}, 'the pattern'],
])('the filter %j is refused, at %s', (filter, where) => {
  expect(() => compileFilter(filter)).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID', where }))
})
