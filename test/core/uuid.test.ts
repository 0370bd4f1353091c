import fc from 'fast-check'
import { expect, test } from 'vitest'
import { uuidv7 } from '../../src/core/uuid.ts'

const latestMs = 2 ** 48 - 1
const timeMs = fc.integer({ min: 0, max: latestMs })
const random = fc.uint8Array({ minLength: 10, maxLength: 10 })

test('is the example of RFC 9562, appendix A.6', () => {
  const bytes = Uint8Array.from([0x0c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f])
  expect(uuidv7(0x017f22e279b0, bytes)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f')
})

test('has the layout of version 7, variant 10, with the time in its first 48 bits', () => {
  fc.assert(
    fc.property(timeMs, random, (time, bytes) => {
      const id = uuidv7(time, bytes)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
      expect(Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)).toBe(time)
    }),
  )
})

test('sorts by time, whatever the random part', () => {
  fc.assert(
    fc.property(timeMs, timeMs, random, random, (first, second, one, two) => {
      fc.pre(first < second)
      expect(uuidv7(first, one) < uuidv7(second, two)).toBe(true)
    }),
  )
})

test('differs whenever one of the 74 random bits does', () => {
  const zero = new Uint8Array(10)
  const ids = new Set([uuidv7(0, zero)])
  for (let bit = 0; bit < 80; bit += 1) {
    const bytes = zero.slice()
    bytes[bit >> 3] = 0x80 >> (bit & 7)
    ids.add(uuidv7(0, bytes))
  }
  expect(ids.size).toBe(1 + 74)
})

test('takes a time before 1970 for 1970, and drops fractions', () => {
  const bytes = new Uint8Array(10)
  expect(uuidv7(-5, bytes)).toBe(uuidv7(0, bytes))
  expect(uuidv7(7.9, bytes)).toBe(uuidv7(7, bytes))
})
