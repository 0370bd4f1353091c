import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PendingOffsets } from '../../src/bus/pending-offsets.ts'

/** How far the next offset is ahead of the last one; or which of those that are there goes, counted round. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ ahead: fc.constantFrom(1, 1, 1, 1, 2, 50, 2 ** 33) }) },
  { weight: 2, arbitrary: fc.record({ goes: fc.nat() }) },
)

test('pending offsets are those that came and have not gone, as in a set', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const [pending, expected] = [new PendingOffsets(), new Set<number>()]
      let next = 0
      for (const one of steps) {
        if ('ahead' in one) {
          pending.add(next)
          expected.add(next)
          next += one.ahead
        } else {
          const there = [...expected]
          const goes = there[one.goes % there.length] ?? one.goes
          pending.delete(goes)
          pending.delete(goes)
          expected.delete(goes)
          expect(pending.has(goes)).toBe(false)
        }
        expect(pending.size).toBe(expected.size)
        expect(pending.first).toBe([...expected][0])
      }
      expect([...pending]).toEqual([...expected])
      for (let offset = 0; offset < Math.min(next, 400); offset += 1)
        expect(pending.has(offset)).toBe(expected.has(offset))
    }),
  )
})

test('one offset that stays behind thousands that go is still the first', () => {
  const pending = new PendingOffsets()
  for (let offset = 0; offset < 10_000; offset += 1) pending.add(offset)
  for (let offset = 0; offset < 9_000; offset += 1) if (offset !== 5_000) pending.delete(offset)
  expect([pending.first, pending.size]).toEqual([5_000, 1_001])
  pending.delete(5_000)
  expect([pending.first, pending.has(8_999), pending.has(9_999)]).toEqual([9_000, false, true])
  for (let offset = 9_000; offset < 10_000; offset += 1) pending.delete(offset)
  expect([pending.first, pending.size]).toEqual([undefined, 0])
  pending.add(20_000)
  expect(pending.first).toBe(20_000)
})
