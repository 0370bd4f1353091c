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

  test('holds no more than its bound, and gives up the oldest first', () => {
    const { cache, remember, offsets } = cacheOf(10 * value.length)
    cache.follow(at, 0)
    for (let offset = 0; offset < 1_000; offset += 1) remember(offset)
    expect(offsets(989)).toEqual([])
    expect(offsets(999)).toEqual([999])
    let kept = 0
    while (offsets(999 - kept).length > 0) kept += 1
    expect(kept).toBeLessThanOrEqual(10)
    expect(kept).toBeGreaterThanOrEqual(5)
  })
})
