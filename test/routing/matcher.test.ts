import { compileFilter, compilePattern, Matcher } from 'millrace/routing'
import { expect, test } from 'vitest'

test('values come back once each, in the order in which they were added, whatever found them', () => {
  const matcher = new Matcher<string>()
    .add({ b: [{ exists: true }] }, 'late')
    .add({ a: [1] }, 'early')
    .add({ $or: [{ a: [1] }, { b: [2] }] }, 'either')
    .add({ a: [{ numeric: ['>', 0] }] }, 'early')
  expect(matcher.match({ a: 1, b: 2 })).toEqual(['late', 'early', 'either'])
  expect(matcher.size).toBe(3)
})

test('a pattern that is refused leaves the matcher as it was', () => {
  const matcher = new Matcher<string>().add({ a: [1] }, 'one')
  expect(() => matcher.add({ a: [] }, 'two')).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }))
  expect(matcher.size).toBe(1)
  expect(matcher.remove('two')).toBe(false)
})

test('compiled patterns and filters go into a matcher as they are', () => {
  const matcher = new Matcher<number>()
    .add(compileFilter({ type: 'order.*', data: { amount: [{ numeric: ['>', 100] }] } }), 1)
    .add(compilePattern('{"type":["order.placed"]}'), 2)
  expect(matcher.match({ type: 'order.placed', data: { amount: 101 } })).toEqual([1, 2])
  expect(matcher.match({ type: 'order.refused', data: { amount: 101 } })).toEqual([1])
})

test('a further condition is asked only where the pattern matches, with the event as an object', () => {
  const asked: unknown[] = []
  const when = (event: object) => {
    asked.push(event)
    return 'yes' in event
  }
  const matcher = new Matcher<string>().add({ a: [1] }, 'guarded', { when }).add({ a: [1, 2] }, 'plain')
  expect(matcher.match('{"a":2}')).toEqual(['plain'])
  expect(matcher.match('{"a":1}')).toEqual(['plain'])
  expect(matcher.match('{"a":1,"yes":true}')).toEqual(['guarded', 'plain'])
  expect(asked).toEqual([{ a: 1 }, { a: 1, yes: true }])
})
