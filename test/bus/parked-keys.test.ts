import { expect, test } from 'vitest'
import { type ParkedKey, ParkedKeys } from '../../src/bus/parked-keys.ts'
import { LogRecord } from '../../src/bus/record-cache.ts'

function parkedKey(key: string): ParkedKey {
  const entry = { first: 0, last: 0, count: 1, attempt: 1, dueMs: 1, failures: [] }
  return { topic: 't', key, entry, busy: false, ahead: [] }
}

function record(offset: number, bytes: number): LogRecord {
  const read = () => {
    throw new Error('is not read')
  }
  return new LogRecord({ topic: 't', partition: 0 }, offset, new Uint8Array(bytes), read)
}

test('records that are tried again are kept as far as there is room, and what is taken or removed makes room', () => {
  const keys = new ParkedKeys('handler')
  const [first, second, third] = [parkedKey('a'), parkedKey('b'), parkedKey('c')]
  const [one, two, three] = [record(0, 40_000), record(1, 40_000), record(2, 20_000)]
  for (const parked of [first, second, third]) keys.set(parked)
  keys.keep(first, one)
  keys.keep(second, two)
  keys.keep(third, three)
  expect([first.kept, second.kept, third.kept]).toEqual([one, undefined, three])
  expect(keys.takeKept(first)).toBe(one)
  keys.keep(second, two)
  expect([first.kept, second.kept]).toEqual([undefined, two])
  keys.remove(second)
  keys.keep(first, one)
  expect(first.kept).toBe(one)
})
