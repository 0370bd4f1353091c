import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  offsetOf,
  recordsPerMessage,
  sequenceOf,
} from '../../../src/engines/nats/frame.ts'

const record = fc.record({
  timeMs: fc.integer({ min: 0, max: 2 ** 48 }),
  value: fc.uint8Array({ maxLength: 50 }),
})
const position = fc.record({ sequence: fc.maxSafeNat(), index: fc.nat({ max: 2 ** 32 - 1 }) })
const frame: fc.Arbitrary<Frame> = fc.record(
  {
    write: fc.stringMatching(/^[a-z0-9]{1,16}$/),
    records: fc.array(record, { minLength: 1, maxLength: 8 }),
    position,
  },
  { requiredKeys: ['write', 'records'] },
)

describe('a message of a place', () => {
  it('comes back as it was', () => {
    fc.assert(
      fc.property(frame, (given) => {
        const found = decodeFrame(encodeFrame(given))
        expect({
          ...found,
          records: found?.records.map((one) => ({ ...one, value: new Uint8Array(one.value) })),
        }).toEqual(given)
      }),
    )
  })

  it('is known for damaged when any bit of it is another, or its end is missing', () => {
    fc.assert(
      fc.property(frame, fc.nat(), fc.nat({ max: 7 }), (given, place, bit) => {
        const bytes = encodeFrame(given)
        const at = place % bytes.length
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit)
        expect(decodeFrame(bytes)).toBeUndefined()
        expect(decodeFrame(encodeFrame(given).subarray(0, at))).toBeUndefined()
      }),
    )
  })
})

describe('the offset of a record', () => {
  it('grows with the sequence of its message and with its place there, and leads back to the message', () => {
    fc.assert(
      fc.property(fc.nat({ max: 2 ** 40 }), fc.nat({ max: recordsPerMessage - 1 }), (sequence, index) => {
        expect(sequenceOf(offsetOf(sequence, index))).toBe(sequence)
        expect(offsetOf(sequence, index)).toBeLessThan(offsetOf(sequence + 1))
        expect(Number.isSafeInteger(offsetOf(sequence, index))).toBe(true)
      }),
    )
  })
})
