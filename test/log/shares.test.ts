import fc from 'fast-check'
import { expect, test } from 'vitest'
import { movesToShare, type Owned } from '../../src/log/shares.ts'

const memberIds = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 6 })

/** Partitions that are owned by anybody, by members that are gone too, or by nobody. */
const situations = fc
  .tuple(memberIds, memberIds, fc.integer({ min: 1, max: 20 }))
  .chain(([members, gone, partitions]) => {
    const owner = fc.constantFrom(null, ...members, ...gone)
    const owned = fc
      .array(owner, { minLength: partitions, maxLength: partitions })
      .map((owners) => owners.map((memberId, partition): Owned => ({ partition, memberId })))
    return fc.record({ members: fc.constant(members), owned })
  })

function after(owned: readonly Owned[], moves: readonly Owned[]): Map<number, string | null> {
  return new Map([...owned, ...moves].map(({ partition, memberId }) => [partition, memberId]))
}

test('every partition has a member, and no member has two more than another', () => {
  fc.assert(
    fc.property(situations, ({ members, owned }) => {
      const owners = [...after(owned, movesToShare(members, owned)).values()]
      const counts = members.map((id) => owners.filter((owner) => owner === id).length)
      if (members.length === 0) return owners.every((owner) => owner === null)
      expect(counts.reduce((sum, count) => sum + count, 0)).toBe(owned.length)
      return Math.max(...counts) - Math.min(...counts) <= 1
    }),
  )
})

test('nothing moves once it is shared, whoever looks', () => {
  fc.assert(
    fc.property(situations, ({ members, owned }) => {
      const shared = after(owned, movesToShare(members, owned))
      const again = Array.from(shared, ([partition, memberId]) => ({ partition, memberId }))
      expect(movesToShare([...members].reverse(), again)).toEqual([])
    }),
  )
})

test('a member keeps what it has, as far as its share goes', () => {
  fc.assert(
    fc.property(situations, ({ members, owned }) => {
      const moved = new Set(movesToShare(members, owned).map(({ partition }) => partition))
      const least = Math.floor(owned.length / Math.max(1, members.length))
      for (const id of members) {
        const had = owned.filter(({ memberId }) => memberId === id)
        const kept = had.filter(({ partition }) => !moved.has(partition))
        expect(kept.length).toBeGreaterThanOrEqual(Math.min(had.length, least))
      }
    }),
  )
})
