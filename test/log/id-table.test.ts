import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdTable } from '../../src/log/id-table.ts'

const step = fc.oneof(
  { weight: 30, arbitrary: fc.record({ put: fc.nat(7) }) },
  { weight: 5, arbitrary: fc.record({ remove: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ forget: fc.nat(15) }) },
  { weight: 1, arbitrary: fc.constant({ copy: true }) },
)

/** Hashes that differ in their lowest bits, in those of the tag or in the highest only. */
const hashes = [0, 1, 2, 0x100, 0x300, -1, 1 << 31, 3 << 29]

describe('a table of ids', () => {
  it('finds what a list finds, whichever entries are removed or forgotten', () => {
    const run = (steps: readonly object[], buckets: number, first: number) => {
      let table = new IdTable(buckets)
      let entries: { hash: number; sequence: number }[] = []
      const remembered = { oldest: first, next: first }
      for (const taken of steps) {
        if ('put' in taken) {
          const entry = { hash: hashes[Number(taken.put)] as number, sequence: remembered.next }
          remembered.next += 1
          table.put(entry.hash, entry.sequence, remembered)
          entries.push(entry)
        } else if ('remove' in taken) {
          const [entry] = entries.splice(Number(taken.remove) % Math.max(entries.length, 1), 1)
          if (entry !== undefined) table.remove(entry.hash, entry.sequence)
        } else if ('forget' in taken) {
          remembered.oldest = Math.min(remembered.next, remembered.oldest + Number(taken.forget))
          entries = entries.filter(({ sequence }) => sequence >= remembered.oldest)
        } else {
          const other = new IdTable(table.buckets * 2)
          table.copyTo(other, remembered)
          table = other
        }
        for (const hash of hashes) {
          const found = table.find(hash, remembered) ?? []
          const expected = entries.filter((entry) => entry.hash === hash).map(({ sequence }) => sequence)
          expect(found.sort((a, b) => a - b)).toEqual(expected)
        }
      }
    }
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 250, size: 'max' }),
        fc.integer({ min: 1, max: 4 }),
        fc.constantFrom(0, 2 ** 31 - 50, 2 ** 45),
        run,
      ),
      { numRuns: 50 },
    )
  })
})
