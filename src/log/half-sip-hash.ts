/** Two random unsigned 32-bit numbers. */
export type HashKey = readonly [number, number]

/** A 64-bit hash in two unsigned halves. */
export interface Hash64 {
  readonly high: number
  readonly low: number
}

/** Used by one call after the other: memory of its own for each would cost as much as the hash. */
const state = new Int32Array(4)

/**
 * HalfSipHash-2-4 with 64 bits of output (Aumasson and Bernstein) over a number and the UTF-16 code units of a text.
 * Without the key nobody can find texts that collide. Part of the stored format: it must never change.
 */
export function halfSipHash(key: HashKey, prefix: number, text: string): Hash64 {
  state[0] = key[0]
  state[1] = key[1] ^ 0xee
  state[2] = key[0] ^ 0x6c796765
  state[3] = key[1] ^ 0x74656462
  compress(prefix)
  const pairs = text.length >> 1
  for (let pair = 0; pair < pairs; pair += 1) {
    compress(text.charCodeAt(pair * 2) | (text.charCodeAt(pair * 2 + 1) << 16))
  }
  const last = text.length & 1 ? text.charCodeAt(text.length - 1) : 0
  compress(((4 + text.length * 2) << 24) | last)
  state[2] = at(2) ^ 0xee
  for (let round = 0; round < 4; round += 1) mix()
  const high = (at(1) ^ at(3)) >>> 0
  state[1] = at(1) ^ 0xdd
  for (let round = 0; round < 4; round += 1) mix()
  return { high, low: (at(1) ^ at(3)) >>> 0 }
}

function compress(word: number): void {
  state[3] = at(3) ^ word
  mix()
  mix()
  state[0] = at(0) ^ word
}

function mix(): void {
  let a = at(0)
  let b = at(1)
  let c = at(2)
  let d = at(3)
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
  state[0] = a
  state[1] = b
  state[2] = c
  state[3] = d
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

function at(index: number): number {
  return state[index] as number
}
