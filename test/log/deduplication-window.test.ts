import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DeduplicationWindow } from '../../src/log/deduplication-window.ts'
import { halfSipHash } from '../../src/log/half-sip-hash.ts'

const key = [0x01234567, 0x89abcdef] as const
const topicId = 1

function windowOf(options: { windowMs?: number; maxIds?: number; firstSequence?: number } = {}) {
  const { windowMs = 1000, maxIds = 1_000_000, firstSequence = 0 } = options
  return new DeduplicationWindow({ windowMs, maxIds }, firstSequence)
}

const fingerprintOf = (id: string) => halfSipHash(key, topicId, id)

/** The plainest thing that does the same. */
class Model {
  entries: { low: number; sequence: number; timeMs: number }[] = []
  next: number
  readonly #windowMs: number
  readonly #maxIds: number

  constructor(windowMs: number, maxIds: number, firstSequence: number) {
    this.next = firstSequence
    this.#windowMs = windowMs
    this.#maxIds = maxIds
  }

  add(low: number, timeMs: number): void {
    if (this.entries.length === this.#maxIds) this.entries.shift()
    this.entries.push({ low, sequence: this.next, timeMs })
    this.next += 1
  }

  expire(nowMs: number): void {
    while (this.entries[0] !== undefined && this.entries[0].timeMs + this.#windowMs <= nowMs) {
      this.entries.shift()
    }
  }

  dropNewest(count: number): number[] {
    const dropped = this.entries.splice(Math.max(0, this.entries.length - count))
    this.next -= dropped.length
    return dropped.map(({ low }) => low)
  }

  sequences(low: number): number[] {
    return this.entries.filter((entry) => entry.low === low).map((entry) => entry.sequence)
  }
}

/** Few distinct halves of fingerprints: some differ in their lowest bits, some only in the highest. */
function lowOf(nth: number): number {
  return (nth % 14) | ((nth % 3) << 30)
}

describe('a deduplication window', () => {
  it('that was told how many come finds what one finds that has grown', () => {
    const options = { windowMs: 1000, maxIds: 5000, key }
    for (const count of [1, 1500, 5000, 7000]) {
      const grown = new DeduplicationWindow(options, 3)
      const made = new DeduplicationWindow(options, 3, count)
      for (let nth = 0; nth < count; nth += 1)
        for (const window of [grown, made]) window.add({ low: nth * 7 }, 0)
      for (let nth = 0; nth < count; nth += 1)
        expect(made.find({ low: nth * 7 })).toEqual(grown.find({ low: nth * 7 }))
      expect([made.oldest, made.next]).toEqual([grown.oldest, grown.next])
    }
  })

  it('finds what a plain list finds, through growth, expiry, bounds and undone additions', () => {
    // Few distinct fingerprints, close together, so that collisions and long runs of slots are the rule.
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ add: fc.nat(40), ageMs: fc.nat(30) }) },
      { weight: 1, arbitrary: fc.record({ drop: fc.nat(20) }) },
      { weight: 2, arbitrary: fc.record({ wait: fc.nat(120) }) },
    )
    const run = (steps: readonly object[], maxIds: number, firstSequence: number) => {
      const windowMs = 300
      const window = windowOf({ windowMs, maxIds, firstSequence })
      const model = new Model(windowMs, maxIds, firstSequence)
      let nowMs = 0
      for (const taken of steps) {
        if ('add' in taken && 'ageMs' in taken) {
          nowMs += Number(taken.ageMs)
          const low = lowOf(Number(taken.add))
          window.add({ low }, nowMs)
          model.add(low, nowMs)
        } else if ('drop' in taken) {
          window.dropNewest(model.dropNewest(Number(taken.drop)))
        } else if ('wait' in taken) {
          nowMs += Number(taken.wait)
          window.expire(nowMs)
          model.expire(nowMs)
        }
        expect(window.size).toBe(model.entries.length)
      }
      for (let nth = 0; nth <= 40; nth += 1) {
        const low = lowOf(nth)
        const found = [...window.find({ low })]
        expect(found.sort((a, b) => a - b)).toEqual(model.sequences(low))
      }
    }
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 60 }), fc.nat(1000), run),
      { numRuns: 300 },
    )
  })

  it('finds what a plain list finds among many more that came and went, whatever their numbers', () => {
    for (const firstSequence of [0, 2 ** 31 - 5000, 2 ** 40]) {
      const [windowMs, maxIds] = [500, 3000]
      const window = windowOf({ windowMs, maxIds, firstSequence })
      const lows: number[] = []
      for (let nth = 0; nth < 40_000; nth += 1) {
        // Some come again, and many share their lowest bits.
        const low = nth % 5 === 0 ? lowOf(nth) : Math.imul(nth % 1000 === 7 ? 7 : nth, 0x9e3779b1)
        lows.push(low)
        window.add({ low }, nth / 10)
        if (nth % 500 === 499) window.expire(nth / 10)
      }
      const remembered = new Map<number, number[]>()
      for (let sequence = window.oldest; sequence < window.next; sequence += 1) {
        const low = lows[sequence - firstSequence] as number
        remembered.set(low, [...(remembered.get(low) ?? []), sequence])
      }
      for (const low of new Set(lows))
        expect([...window.find({ low })].sort((a, b) => a - b)).toEqual(remembered.get(low) ?? [])
      expect(window.size).toBeGreaterThan(2900)
    }
  })

  it('keeps every id while it grows by doubling', () => {
    const window = windowOf()
    const ids = Array.from({ length: 20_000 }, (_, index) => `order-${index}`)
    for (const id of ids) window.add(fingerprintOf(id), 0)
    for (const [sequence, id] of ids.entries()) {
      expect(window.find(fingerprintOf(id))).toContain(sequence)
    }
    expect(window.find(fingerprintOf('another'))).toEqual([])
  })

  it('forgets the oldest ids at its bound and those whose time is over', () => {
    const window = windowOf({ maxIds: 3, windowMs: 100 })
    for (let index = 0; index < 5; index += 1) {
      window.add(fingerprintOf(`id-${index}`), index * 10)
    }
    expect([window.oldest, window.next, window.size]).toEqual([2, 5, 3])
    window.expire(129)
    expect(window.oldest).toBe(3)
    window.expire(1000)
    expect(window.size).toBe(0)
  })

  it('forgets some at once at its bound, and none that is among the last of them', () => {
    const maxIds = 10_000
    const window = windowOf({ maxIds })
    const ids = Array.from({ length: 3 * maxIds }, (_, index) => fingerprintOf(`id-${index}`))
    window.prefetch(ids.map(({ low }) => low))
    for (const id of ids) window.add(id, 0)
    const atLeast = maxIds - maxIds / 1000
    expect(window.size).toBeGreaterThan(atLeast)
    for (const [sequence, id] of ids.entries()) {
      if (sequence >= ids.length - atLeast) expect(window.find(id)).toContain(sequence)
      if (sequence < window.oldest) expect(window.find(id)).not.toContain(sequence)
    }
  })

  it('remembers nothing when it may hold nothing', () => {
    const window = windowOf({ maxIds: 0 })
    window.add(fingerprintOf('id'), 0)
    expect(window.find(fingerprintOf('id'))).toEqual([])
  })

  it('gives the fingerprints that are stored in every log', () => {
    expect(['', 'a', 'ab', 'größe', '😀'].map((id) => fingerprintOf(id))).toMatchInlineSnapshot(`
      [
        {
          "high": 701693014,
          "low": -1926595925,
        },
        {
          "high": -181882668,
          "low": -837316120,
        },
        {
          "high": -210734651,
          "low": -527505789,
        },
        {
          "high": -968523736,
          "low": -1511800637,
        },
        {
          "high": 1370152654,
          "low": -714139798,
        },
      ]
    `)
  })

  it('gives no two of a hundred thousand similar ids one fingerprint', () => {
    const seen = new Set<string>()
    for (let index = 0; index < 100_000; index += 1) {
      const { high, low } = fingerprintOf(`source ${index}`)
      seen.add(`${high}/${low}`)
    }
    expect(seen.size).toBe(100_000)
  })
})
