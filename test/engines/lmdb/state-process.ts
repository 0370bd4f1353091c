// Applies changes to a local state until it is killed: each writes the number of its mark into the same ten keys.
import { openLmdbStateStores } from '../../../src/engines/lmdb/state-stores.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

const stores = await openLmdbStateStores({ runtime: new ManualRuntime(), folder: process.argv[2] ?? '' })
const store = await stores.open({ logId: 'log', group: 'shop', partition: 0 })
for (let sequence = (store.applied?.sequence ?? 0) + 1; ; sequence += 1) {
  const value = new TextEncoder().encode(`${sequence} `.repeat(1 + (sequence % 500)))
  const puts = Array.from({ length: 10 }, (_, index) => ({ key: `key-${index}`, value }))
  await store.apply({ puts, deletes: [`gone-${sequence}`] }, { sequence, chain: sequence })
  if (sequence % 20 === 0) process.send?.(sequence)
}
