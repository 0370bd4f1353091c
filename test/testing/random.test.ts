import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/testing/random.ts'

const draw = (random: SeededRandom, count: number) => Array.from({ length: count }, () => random.next())

describe('SeededRandom', () => {
  it('gives the same numbers for the same seed and purpose', () => {
    expect(draw(new SeededRandom(7, 'steps'), 50)).toEqual(draw(new SeededRandom(7, 'steps'), 50))
  })

  it('gives other numbers for another seed, and for another purpose', () => {
    const numbers = draw(new SeededRandom(7, 'steps'), 5)
    expect(draw(new SeededRandom(8, 'steps'), 5)).not.toEqual(numbers)
    expect(draw(new SeededRandom(7, 'faults'), 5)).not.toEqual(numbers)
    expect(draw(new SeededRandom(7 + 2 ** 32, 'steps'), 5)).not.toEqual(numbers)
  })

  it('spreads its numbers evenly', () => {
    const random = new SeededRandom(1, 'spread')
    const counts = Array.from({ length: 10 }, () => 0)
    for (let index = 0; index < 10_000; index += 1) {
      const bucket = random.below(10)
      counts[bucket] = (counts[bucket] ?? 0) + 1
    }
    for (const count of counts) expect(count).toBeGreaterThan(850)
    for (const count of counts) expect(count).toBeLessThan(1_150)
  })

  it('keeps to its bounds', () => {
    const random = new SeededRandom(2, 'bounds')
    for (let index = 0; index < 1_000; index += 1) {
      expect([3, 4, 5]).toContain(random.between(3, 5))
      expect(['x', 'y']).toContain(random.pick(['x', 'y']))
    }
    expect(random.chance(0)).toBe(false)
    expect(random.chance(1)).toBe(true)
  })

  it('refuses to pick from nothing', () => {
    expect(() => new SeededRandom(1, 'none').pick([])).toThrow(TypeError)
  })
})
