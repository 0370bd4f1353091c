import fc from 'fast-check'
import { expect, test } from 'vitest'
import { partitionOf } from '../../src/log/partition.ts'

// The stored format: a change of one of these numbers would send keys to other partitions of existing logs.
test.each([
  ['', 725_515_275],
  ['a', 444_641_715],
  ['b', 46_424_626],
  ['order-1', 302_013_084],
  ['shop/orders', 348_053_950],
  ['Zürich', 760_984_983],
  ['日本', 1_879_347_487],
  ['🛬', 395_975_651],
  ['a\u0000b', 1_564_531_501],
  ['k'.repeat(512), 1_703_557_206],
])('the partition of %j never changes', (key, partition) => {
  expect(partitionOf(key, 2 ** 31)).toBe(partition)
})

test('a key is in one partition of every count, by the same hash', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.integer({ min: 1, max: 4096 }), (key, partitions) => {
      const partition = partitionOf(key, partitions)
      expect(Number.isInteger(partition) && partition >= 0 && partition < partitions).toBe(true)
      expect(partitionOf(key, partitions * 8) % partitions).toBe(partition)
    }),
  )
})

test.each([
  ['numbers', (index: number) => String(index)],
  ['numbers with a prefix', (index: number) => `customer-${index}`],
  ['padded numbers', (index: number) => String(index).padStart(12, '0')],
  ['text beyond ASCII', (index: number) => `Kunde ü${index}`],
  ['even numbers', (index: number) => String(index * 16)],
])('spreads %s over 16 partitions, none with 10%% more than its share', (_name, keyOf) => {
  const counts = new Array<number>(16).fill(0)
  for (let index = 0; index < 16_000; index += 1) {
    const partition = partitionOf(keyOf(index), 16)
    counts[partition] = (counts[partition] ?? 0) + 1
  }
  expect(Math.max(...counts)).toBeLessThan(1100)
  expect(Math.min(...counts)).toBeGreaterThan(900)
})
