import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Block, maxBlockBytes, recordBytes } from '../../../src/engines/lmdb/block.ts'
import { StagedRecords, sealStaged } from '../../../src/engines/lmdb/staged-records.ts'

interface Given {
  readonly skip: number
  readonly waitMs: number
  readonly value: Uint8Array
}

const at = { topicId: 3, partition: 2, end: 100, bytes: 5000 }

const givens = (skips: boolean) =>
  fc.array(
    fc.record({
      skip: skips ? fc.nat(3) : fc.constant(0),
      waitMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
      value: fc.oneof(
        { weight: 20, arbitrary: fc.uint8Array({ maxLength: 40 }) },
        { weight: 1, arbitrary: fc.nat(2 * maxBlockBytes).map((size) => new Uint8Array(size).fill(size)) },
      ),
    }),
    { minLength: 1, maxLength: 200 },
  )

function stagedOf(given: readonly Given[]): StagedRecords {
  const staged = new StagedRecords(at)
  let offset = at.end
  let timeMs = 1e12
  for (const { skip, waitMs, value } of given) {
    offset += skip
    timeMs += waitMs
    staged.add(offset, timeMs, value)
    offset += 1
  }
  return staged
}

describe('blocks', () => {
  it.each([false, true])('give back what was put into them, with offsets that skip: %s', (skips) => {
    fc.assert(
      fc.property(givens(skips), (given) => {
        const staged = stagedOf(given)
        const seen = new StagedRecords(at)
        const misled: number[] = []
        let { end, bytes } = at
        for (const row of sealStaged([staged])) {
          const block = Block.open(row)
          if (block === undefined) throw new Error('the block cannot be opened')
          expect(block).toMatchObject({ follows: end, isWhole: true })
          if (block.count > 1) expect(row.value.length).toBeLessThanOrEqual(maxBlockBytes)
          for (let index = 0; index < block.count; index += 1) {
            const offset = block.offsetAt(index)
            const value = block.valueAt(index) ?? new Uint8Array()
            seen.add(offset, block.timeMsAt(index), value)
            if (block.bytesBeforeAt(index) !== bytes || block.indexFrom(offset) !== index) misled.push(offset)
            bytes += recordBytes(value.length)
          }
          expect(block.bytesBeforeAt(block.count)).toBe(bytes)
          expect(block.indexFrom(block.last + 1)).toBe(block.count)
          end = block.last + 1
        }
        expect(seen.offsets).toEqual(staged.offsets)
        expect(seen.timesMs).toEqual(staged.timesMs)
        expect(Buffer.compare(Buffer.concat(seen.values), Buffer.concat(staged.values))).toBe(0)
        expect(misled).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('name the one record that one changed bit is in, or lose all to one bit of their head', () => {
    const values = fc.array(fc.uint8Array({ maxLength: 30 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(values, fc.nat(), fc.nat(7), (given, position, bit) => {
        const [row] = sealStaged([stagedOf(given.map((value) => ({ skip: 0, waitMs: 0, value })))])
        if (row === undefined) throw new Error('there is no block')
        const at = position % row.value.length
        const damaged = Buffer.from(row.value)
        damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << bit), at)
        const block = Block.open({ key: row.key, value: damaged })
        const headEnd = 28 + 16 * given.length
        if (at >= 8 && at < headEnd) {
          expect(block).toBeUndefined()
          return
        }
        const lost = given.flatMap((_, index) => (block?.valueAt(index) === undefined ? [index] : []))
        expect(lost).toHaveLength(at < 8 ? 0 : 1)
        const isPlaceOfLost = (index: number) => {
          const start = given
            .slice(0, index)
            .reduce((sum, value) => sum + recordBytes(value.length) - 16, headEnd)
          return at >= start && at < start + recordBytes((given[index] as Uint8Array).length) - 16
        }
        expect(lost.every(isPlaceOfLost)).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  it('are damaged as a whole under another key, and when they are cut within their head', () => {
    const [row] = sealStaged([stagedOf([{ skip: 0, waitMs: 0, value: new Uint8Array(9) }])])
    if (row === undefined) throw new Error('there is no block')
    const key = Buffer.from(row.key)
    key.writeUInt8(key.readUInt8(key.length - 1) ^ 1, key.length - 1)
    expect(Block.open({ key, value: row.value })).toBeUndefined()
    for (const length of [0, 8, 27, 43]) {
      expect(Block.open({ key: row.key, value: row.value.subarray(0, length) })).toBeUndefined()
    }
    expect(Block.open({ key: row.key, value: row.value.subarray(0, 50) })?.valueAt(0)).toBeUndefined()
  })
})
