import { plainObjects } from '../core/plain-object.ts'

/** Two random unsigned 32-bit numbers. */
export type HashKey = readonly [number, number]

/** A 64-bit hash in two signed halves: numbers that V8 keeps without memory of their own. */
export interface Hash64 {
  readonly high: number
  readonly low: number
}

const HashOf = plainObjects<Hash64, [high: number, low: number]>(function (high, low) {
  this.high = high
  this.low = low
})

/** Rounds before each half of the hash is taken. */
const finalRounds = 3

/**
 * HalfSipHash-1-3 with 64 bits of output (Aumasson and Bernstein) over a number and the UTF-16 code units of a text.
 * Without the key nobody can find texts that collide. Part of the stored format: it must never change.
 */
export function halfSipHash(key: HashKey, prefix: number, text: string): Hash64 {
  const pairs = text.length >> 1
  const words = pairs + 2
  let a = key[0]
  let b = key[1] ^ 0xee
  let c = key[0] ^ 0x6c796765
  let d = key[1] ^ 0x74656462
  let high = 0
  // One loop for all rounds, with the state in variables: the compiler keeps them in registers.
  for (let round = 0; round < words + 2 * finalRounds; round += 1) {
    let word = 0
    if (round === 0) word = prefix
    else if (round <= pairs) word = pairAt(text, round * 2 - 2)
    else if (round < words) word = ((4 + text.length * 2) << 24) | lastOf(text)
    else if (round === words) c ^= 0xee
    else if (round === words + finalRounds) {
      high = b ^ d
      b ^= 0xdd
    }
    d ^= word
    a = (a + b) | 0
    b = rotate(b, 5) ^ a
    a = rotate(a, 16)
    c = (c + d) | 0
    d = rotate(d, 8) ^ c
    a = (a + d) | 0
    d = rotate(d, 7) ^ a
    c = (c + b) | 0
    b = rotate(b, 13) ^ c
    c = rotate(c, 16)
    a ^= word
  }
  return new HashOf(high, b ^ d)
}

function pairAt(text: string, index: number): number {
  return text.charCodeAt(index) | (text.charCodeAt(index + 1) << 16)
}

/** The last code unit of a text of odd length. */
function lastOf(text: string): number {
  return text.length & 1 ? text.charCodeAt(text.length - 1) : 0
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}
