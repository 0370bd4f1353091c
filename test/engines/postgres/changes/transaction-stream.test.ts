import { expect, it } from 'vitest'
import type { FollowedTable } from '../../../../src/engines/postgres/changes/followed-table.ts'
import { TransactionStream } from '../../../../src/engines/postgres/changes/transaction-stream.ts'

const table = { changesOf: () => [] } as unknown as FollowedTable

it('is through only when all that was heard was taken and given, also where it skips what is behind', async () => {
  const stream = new TransactionStream(table, { readUntil: '0/20', from: undefined })
  const { signal } = new AbortController()
  const begin = (commitLsn: string) => stream.take({ tag: 'begin', commitLsn, commitTime: 0n })
  const commit = (commitEndLsn: string) => stream.take({ tag: 'commit', commitEndLsn })
  expect(stream.isThrough(0)).toBe(true)
  await begin('0/10')
  expect(stream.isThrough(1)).toBe(false)
  await commit('0/18')
  // The next transaction was heard, and is yet to be taken.
  expect(stream.isThrough(5)).toBe(false)
  expect(stream.isThrough(2)).toBe(true)
  await begin('0/30')
  await stream.take({ tag: 'insert', new: { sku: 'a' } })
  await commit('0/38')
  expect(stream.isThrough(5)).toBe(false)
  expect((await stream.next(signal)).position).toEqual({ commit: '0/30', done: 1, end: '0/38' })
  expect(stream.isThrough(5)).toBe(true)
})
