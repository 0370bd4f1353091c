import { expect, test } from 'vitest'
import type { ParkedEntry } from '../../src/bus/parked-entry.ts'
import { ParkedKeys } from '../../src/bus/parked-keys.ts'
import { LogRecord } from '../../src/bus/record-cache.ts'

const entry: ParkedEntry = { first: 0, last: 9, count: 10, attempt: 1, dueMs: 1, failures: [] }

function record(offset: number, bytes: number): LogRecord {
  const read = () => {
    throw new Error('is not read')
  }
  return new LogRecord({ topic: 't', partition: 0 }, offset, new Uint8Array(bytes), read)
}

function parkedKeys() {
  const keys = new ParkedKeys('handler')
  return { keys, add: (key: string) => keys.add({ topic: 't', key, entry }) }
}

test('records that wait are kept as far as there is room, and those that are done or removed make room', () => {
  const { keys, add } = parkedKeys()
  const [first, second, third] = [add('a'), add('b'), add('c')]
  const [one, two, three] = [record(0, 40_000), record(1, 40_000), record(2, 20_000)]
  keys.keep(first, [one], false)
  keys.keep(second, [two], false)
  keys.keep(third, [three], false)
  expect([first, second, third].map((parked) => keys.next(parked))).toEqual([one, undefined, three])
  keys.change(first, { ...entry, first: 1 })
  keys.keep(second, [two], false)
  expect([first, second].map((parked) => keys.next(parked))).toEqual([undefined, two])
  keys.remove(second)
  keys.keep(first, [one], false)
  expect(keys.next(first)).toBe(one)
})

test('of one key the first records that wait are kept, and none behind one that is not', () => {
  const { keys, add } = parkedKeys()
  const parked = add('a')
  const records = Array.from({ length: 12 }, (_, offset) => record(offset, 10))
  keys.keep(parked, records.slice(0, 7), true)
  for (const next of records.slice(7, 9)) keys.keepNext(parked, next)
  expect(parked.kept).toEqual(records.slice(0, 8))
  keys.change(parked, { ...entry, first: 8 })
  for (const next of records.slice(9)) keys.keepNext(parked, next)
  expect(parked.kept).toEqual([])
})

test('what comes behind records that were not all kept is not kept', () => {
  const { keys, add } = parkedKeys()
  const parked = add('a')
  keys.keep(parked, [record(0, 10)], false)
  keys.keepNext(parked, record(2, 10))
  expect(parked.kept.map(({ offset }) => offset)).toEqual([0])
})

test('a key that is held keeps nothing in memory, nor does one that was loaded, but one with nothing behind what is handed back', () => {
  const { keys, add } = parkedKeys()
  const [held, loaded] = [add('a'), add('b')]
  keys.keep(held, [record(0, 10)], true)
  keys.change(held, { ...entry, dueMs: null })
  const nothing = { ...entry, last: -1, count: 0, redrive: [0] }
  const handedBack = keys.add({ topic: 't', key: 'c', entry: nothing })
  const next = record(10, 10)
  for (const parked of [held, loaded, handedBack]) keys.keepNext(parked, next)
  expect([held, loaded, handedBack].map(({ kept }) => kept.length)).toEqual([0, 0, 1])
  expect(keys.next(handedBack)).toBeUndefined()
  keys.change(handedBack, { ...entry, first: 10, last: 10, count: 1 })
  expect(keys.next(handedBack)).toBe(next)
})

test('keys are due in turn, and one that is gone, busy or due at another time by now is not', () => {
  const { keys } = parkedKeys()
  const add = (key: string, dueMs: number) => keys.add({ topic: 't', key, entry: { ...entry, dueMs } })
  const [gone, busy, moved, first, last] = [add('a', 1), add('b', 2), add('c', 3), add('d', 4), add('e', 5)]
  keys.remove(gone)
  busy.busy = true
  keys.change(moved, { ...entry, dueMs: 9 })
  expect(keys.nextDueMs()).toBe(4)
  expect(keys.takeDue(5)).toBe(first)
  expect(keys.takeDue(5)).toBe(last)
  expect(keys.takeDue(5)).toBeUndefined()
  expect(keys.takeDue(9)).toBe(moved)
  expect([keys.size, [...keys].length, keys.get('t', 'a')]).toEqual([4, 4, undefined])
})
