import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { matchesAnyType, matchesType, typePatternFault } from '../../src/core/type-pattern.ts'

describe('a pattern of event types', () => {
  test.each([
    ['shop.order.placed', 'shop.order.placed', true],
    ['shop.order.placed', 'shop.order', false],
    ['shop.order', 'shop.order.placed', false],
    ['shop.order.*', 'shop.order.placed', true],
    ['shop.*.placed', 'shop.order.placed', true],
    ['*.*.*', 'shop.order.placed', true],
    ['shop.*', 'shop.order.placed', false],
    ['shop.order.placed.*', 'shop.order.placed', false],
    ['shop.>', 'shop.order.placed', true],
    ['shop.>', 'shop.order', true],
    ['shop.>', 'shop', false],
    ['>', 'shop', true],
    ['>', 'shop.order.placed', true],
    ['*.>', 'shop', false],
    ['*.>', 'shop.order', true],
    ['shop.order', 'shopXorder', false],
    ['*', '', true],
    ['a.*', 'a.', true],
  ])('%s and the type %s: %s', (pattern, type, expected) => {
    expect(matchesType(pattern, type)).toBe(expected)
  })

  test.each([
    ['', 'has an empty word'],
    ['shop..placed', 'has an empty word'],
    ['shop.', 'has an empty word'],
    ['shop.>.placed', "has '>' before its end"],
    ['shop.pla*', 'has a wildcard within a word'],
    ['shop.>>', 'has a wildcard within a word'],
  ])('%j %s', (pattern, fault) => {
    expect(typePatternFault(pattern)).toBe(fault)
  })

  const word = fc.stringMatching(/^[a-c]{1,2}$/)
  const words = fc.array(word, { minLength: 1, maxLength: 4 })

  test('matches as the expression that its wildcards stand for, and has no fault', () => {
    const token = fc.oneof(word, fc.constant('*'))
    const tokens = fc.tuple(fc.array(token, { minLength: 1, maxLength: 4 }), fc.boolean())
    fc.assert(
      fc.property(tokens, words, ([head, open], type) => {
        const pattern = [...head, ...(open ? ['>'] : [])].join('.')
        const sources = head.map((one) => (one === '*' ? '[^.]+' : one))
        const expression = new RegExp(`^${sources.join('\\.')}${open ? '\\..+' : ''}$`)
        expect(typePatternFault(pattern)).toBeUndefined()
        expect(matchesType(pattern, type.join('.'))).toBe(expression.test(type.join('.')))
      }),
    )
  })

  test('still matches a type when any of its words becomes a wildcard', () => {
    fc.assert(
      fc.property(words, fc.nat(), (type, at) => {
        const index = at % type.length
        expect(matchesType(type.with(index, '*').join('.'), type.join('.'))).toBe(true)
        expect(matchesType([...type.slice(0, index), '>'].join('.'), type.join('.'))).toBe(true)
      }),
    )
  })
})

test('no patterns let every type pass, and several those of each', () => {
  expect(matchesAnyType([], 'a')).toBe(true)
  expect(matchesAnyType(['b', 'a'], 'a')).toBe(true)
  expect(matchesAnyType(['b', 'c'], 'a')).toBe(false)
})
