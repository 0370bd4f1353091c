import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type HashKey, halfSipHash } from '../../src/log/half-sip-hash.ts'

/** HalfSipHash-1-3 as its authors describe it, with 64-bit numbers that are cut: slow and plain. */
function plainly(key: HashKey, prefix: number, text: string): { high: number; low: number } {
  const words = [BigInt(prefix)]
  for (let index = 0; index + 1 < text.length; index += 2) {
    words.push(BigInt(text.charCodeAt(index)) | (BigInt(text.charCodeAt(index + 1)) << 16n))
  }
  const last = text.length % 2 === 1 ? text.charCodeAt(text.length - 1) : 0
  words.push((BigInt(4 + text.length * 2) << 24n) | BigInt(last))
  const cut = (value: bigint) => BigInt.asUintN(32, value)
  const turned = (value: bigint, bits: bigint) => cut(value << bits) | (value >> (32n - bits))
  const [first, second] = [BigInt(key[0]), BigInt(key[1])]
  const v = [first, second ^ 0xeen, first ^ 0x6c796765n, second ^ 0x74656462n] as [
    bigint,
    bigint,
    bigint,
    bigint,
  ]
  const round = () => {
    v[0] = cut(v[0] + v[1])
    v[1] = turned(v[1], 5n) ^ v[0]
    v[0] = turned(v[0], 16n)
    v[2] = cut(v[2] + v[3])
    v[3] = turned(v[3], 8n) ^ v[2]
    v[0] = cut(v[0] + v[3])
    v[3] = turned(v[3], 7n) ^ v[0]
    v[2] = cut(v[2] + v[1])
    v[1] = turned(v[1], 13n) ^ v[2]
    v[2] = turned(v[2], 16n)
  }
  for (const word of words) {
    v[3] ^= cut(word)
    round()
    v[0] ^= cut(word)
  }
  v[2] ^= 0xeen
  for (let count = 0; count < 3; count += 1) round()
  const high = Number(BigInt.asIntN(32, v[1] ^ v[3]))
  v[1] ^= 0xddn
  for (let count = 0; count < 3; count += 1) round()
  return { high, low: Number(BigInt.asIntN(32, v[1] ^ v[3])) }
}

describe('halfSipHash', () => {
  it('is that of a plain implementation, for every text', () => {
    const word = fc.integer({ min: 0, max: 2 ** 32 - 1 })
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(word, word, word, text, (first, second, prefix, given) => {
        expect(halfSipHash([first, second], prefix, given)).toEqual(plainly([first, second], prefix, given))
      }),
      { numRuns: 50 },
    )
  })
})
