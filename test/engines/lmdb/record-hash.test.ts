import { endianness } from 'node:os'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordHash } from '../../../src/engines/lmdb/record-hash.ts'

const wordsOf = (bytes: Uint8Array) => {
  const words = new Int32Array((bytes.length + 3) >> 2)
  new Uint8Array(words.buffer).set(bytes)
  return words
}

const hashOf = (text: string) => {
  const words = wordsOf(new TextEncoder().encode(text))
  return recordHash(words, 0, words.length)
}

describe('the hash of a record', () => {
  it.runIf(endianness() === 'LE')('is MurmurHash3, and stays what is stored', () => {
    expect(['', 'abcd', '{"id":"1"}..', 'größe...'].map(hashOf)).toMatchInlineSnapshot(`
      [
        0,
        1139631978,
        511179009,
        2665330159,
      ]
    `)
  })

  it('changes with every bit, and with zeros at the end', () => {
    const given = fc.uint8Array({ minLength: 1, maxLength: 64 })
    fc.assert(
      fc.property(given, fc.nat(), fc.nat(7), (bytes, position, bit) => {
        const words = wordsOf(bytes)
        const before = recordHash(words, 0, words.length)
        const changed = Uint8Array.from(bytes)
        const at = position % bytes.length
        changed[at] = (changed[at] as number) ^ (1 << bit)
        expect(recordHash(wordsOf(changed), 0, words.length)).not.toBe(before)
        expect(recordHash(Int32Array.from([...words, 0]), 0, words.length + 1)).not.toBe(before)
      }),
    )
  })

  it('is that of the words it is asked for, wherever they are', () => {
    const words = wordsOf(new TextEncoder().encode('....{"id":"1"}..----'))
    expect(recordHash(words, 1, 4)).toBe(hashOf('{"id":"1"}..'))
  })
})
