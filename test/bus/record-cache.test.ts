import { describe, expect, test } from 'vitest'
import { RecordCache } from '../../src/bus/record-cache.ts'
import { decodeEvent, encodeEvent } from '../../src/core/event-codec.ts'
import type { Offset } from '../../src/log/port.ts'

const at = { topic: 'orders', partition: 0 }
const value = encodeEvent({
  specversion: '1.0',
  id: '1',
  source: 's',
  type: 't',
  time: 't',
  data: 'x'.repeat(900),
})

function cacheOf(maxBytes?: number) {
  const cache = new RecordCache(decodeEvent, maxBytes)
  const remember = (...offsets: Offset[]) => {
    for (const offset of offsets)
      cache.remember([{ ...at, value, timeMs: 0 }], [{ ...at, offset, duplicate: false }])
  }
  const offsets = (from: Offset, most = 100) => cache.read(at, from, most).map(({ offset }) => offset)
  return { cache, remember, offsets }
}

describe('the tail cache', () => {
  test('keeps what is appended where somebody follows, and nothing elsewhere', () => {
    const { cache, remember, offsets } = cacheOf()
    remember(0)
    cache.follow(at, 1)
    remember(1, 2)
    expect(offsets(0)).toEqual([])
    expect(offsets(1)).toEqual([1, 2])
    expect(offsets(1, 1)).toEqual([1])
    expect(cache.read({ ...at, partition: 1 }, 1, 100)).toEqual([])
  })

  test('gives records only as far as they follow one another', () => {
    const { cache, remember, offsets } = cacheOf()
    cache.follow(at, 0)
    remember(3, 4, 6)
    expect(offsets(2)).toEqual([])
    expect(offsets(3)).toEqual([3, 4])
    expect(offsets(5)).toEqual([])
  })

  test('keeps a record until all who follow have passed it', () => {
    const { cache, remember, offsets } = cacheOf()
    const [one, other] = [cache.follow(at, 0), cache.follow(at, 0)]
    remember(0, 1, 2)
    one.passed(2)
    expect(offsets(0)).toEqual([0, 1, 2])
    other.passed(1)
    expect(offsets(0)).toEqual([])
    expect(offsets(1)).toEqual([1, 2])
    other.end()
    expect(offsets(1)).toEqual([])
    expect(offsets(2)).toEqual([2])
    one.end()
    expect(offsets(2)).toEqual([])
  })

  test('does not keep what was passed before it was acknowledged here', () => {
    const { cache, remember, offsets } = cacheOf()
    cache.follow(at, 0).passed(2)
    remember(1, 2)
    expect(offsets(1)).toEqual([])
    expect(offsets(2)).toEqual([2])
  })

  test('takes acknowledgements that come out of order', () => {
    const { cache, remember, offsets } = cacheOf()
    cache.follow(at, 0)
    remember(0, 3, 1, 2, 4)
    expect(offsets(0)).toEqual([0, 1, 2, 3, 4])
  })

  test('gives up what is beyond its bound, and keeps nothing for who is behind that until they have come there', () => {
    const { cache, remember, offsets } = cacheOf(10 * value.length)
    const behind = cache.follow(at, 0)
    for (let offset = 0; offset < 1_000; offset += 1) {
      remember(offset)
      if (offset < 10) expect(offsets(0)).toHaveLength(offset + 1)
      else expect(offsets(offset)).toEqual([])
    }
    behind.passed(10)
    remember(1_000)
    expect(offsets(1_000)).toEqual([])
    behind.passed(11)
    remember(1_001)
    expect(offsets(1_001)).toEqual([1_001])
  })

  test('gives up the place that holds most', () => {
    const { cache, remember, offsets } = cacheOf(10 * value.length)
    const other = { ...at, partition: 1 }
    cache.follow(at, 0)
    cache.follow(other, 0)
    cache.remember([{ ...other, value, timeMs: 0 }], [{ ...other, offset: 0, duplicate: false }])
    for (let offset = 0; offset < 20; offset += 1) remember(offset)
    expect(offsets(0)).toEqual([])
    expect(cache.read(other, 0, 1)).toHaveLength(1)
  })
})
