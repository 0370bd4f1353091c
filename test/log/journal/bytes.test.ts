import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteReader, ByteWriter } from '../../../src/log/journal/bytes.ts'

const parts = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('u8' as const), value: fc.nat(255) }),
    fc.record({ kind: fc.constant('u32' as const), value: fc.nat(0xffff_ffff) }),
    fc.record({ kind: fc.constant('f64' as const), value: fc.double({ noNaN: true }) }),
    fc.record({ kind: fc.constant('text' as const), value: fc.string({ unit: 'grapheme' }) }),
    fc.record({ kind: fc.constant('bytes' as const), value: fc.uint8Array() }),
  ),
)

test('what is written comes back, wherever the memory had to grow', () => {
  fc.assert(
    fc.property(parts, fc.nat(40), (written, sizeBytes) => {
      const writer = new ByteWriter(sizeBytes)
      for (const { kind, value } of written) {
        if (kind === 'text') writer.text(value)
        else if (kind === 'bytes') writer.bytes(value)
        else writer[kind](value)
      }
      const reader = new ByteReader(writer.end())
      for (const { kind, value } of written) expect(reader[kind]()).toEqual(value)
      expect(reader.left).toBe(0)
    }),
    { numRuns: 500 },
  )
})
