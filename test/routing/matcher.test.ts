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

test('beginnings and ends that look alike to the index are told apart', () => {
  // Both make the same number of their characters, read in either direction.
  const shifted = `a${String.fromCharCode(97 + 0x1f1f)}a`
  const [some, same] = [shifted, 'baa']
  const mirrored = [shifted, 'aab']
  const matcher = new Matcher<string>()
  for (const text of [some, same]) matcher.add({ a: [{ prefix: text }] }, `prefix ${text}`)
  for (const text of mirrored) matcher.add({ a: [{ suffix: text }] }, `suffix ${text}`)
  expect(matcher.match({ a: `${same}-` })).toEqual([`prefix ${same}`])
  expect(matcher.match({ a: `${some}-` })).toEqual([`prefix ${some}`])
  expect(matcher.match({ a: `-${mirrored[0]}` })).toEqual([`suffix ${mirrored[0]}`])
  expect(matcher.match({ a: `-${mirrored[1]}` })).toEqual([`suffix ${mirrored[1]}`])
  matcher.remove(`prefix ${some}`)
  matcher.remove(`suffix ${mirrored[0]}`)
  expect(matcher.match({ a: `${some}-` })).toEqual([])
  expect(matcher.match({ a: `${same}-` })).toEqual([`prefix ${same}`])
  expect(matcher.match({ a: `-${mirrored[1]}` })).toEqual([`suffix ${mirrored[1]}`])
})

test('ranges and blocks of addresses within one another are all found', () => {
  const matcher = new Matcher<string>()
    .add({ a: [{ numeric: ['>', 0, '<', 100] }] }, 'wide')
    .add({ a: [{ numeric: ['>=', 0, '<=', 5] }] }, 'low')
    .add({ a: [{ numeric: ['>', 5] }] }, 'high')
    .add({ a: [{ cidr: '2001:db8::/33' }] }, '/33')
    .add({ a: [{ cidr: '2001:db8::/32' }] }, '/32')
    .add({ a: [{ cidr: '128.0.0.0/1' }] }, '/1')
    .add({ a: ['200.0.0.1'] }, 'host')
  expect(matcher.match({ a: -0 })).toEqual(['low'])
  expect(matcher.match({ a: Number.MIN_VALUE })).toEqual(['wide', 'low'])
  expect(matcher.match({ a: 5 })).toEqual(['wide', 'low'])
  expect(matcher.match({ a: 100 })).toEqual(['high'])
  expect(matcher.match({ a: 5.000000000000001 })).toEqual(['wide', 'high'])
  expect(matcher.match({ a: '2001:db8:7fff::1' })).toEqual(['/33', '/32'])
  expect(matcher.match({ a: '2001:db8:8000::1' })).toEqual(['/32'])
  expect(matcher.match({ a: '200.0.0.1' })).toEqual(['/1', 'host'])
  matcher.remove('wide')
  expect(matcher.match({ a: 5 })).toEqual(['low'])
})

test('a text that folds like a pattern and is not its other case does not match', () => {
  const matcher = new Matcher<string>()
    .add({ a: [{ 'equals-ignore-case': 'k' }] }, 'ascii')
    .add({ a: [{ 'equals-ignore-case': '\u212a' }] }, 'kelvin')
  expect(matcher.match({ a: 'K' })).toEqual(['ascii'])
  expect(matcher.match({ a: 'k' })).toEqual(['ascii', 'kelvin'])
  expect(matcher.match({ a: '\u212a' })).toEqual(['kelvin'])
})
