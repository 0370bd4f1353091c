/**
 * Goal: a subscription that pauses, because most of its keys fail, loses nothing and goes on when they do no more. Method: as
 * in `simulate.sim.test.ts`, with so many keys and so many failures that it must pause, which few keys never make it.
 */
import { describe, expect, it } from 'vitest'
import { simulatePausing } from '../../scripts/torture/courses/keys.ts'

describe('the guarantees hold', () => {
  it.each([1, 2, 3])('when most keys of a handler fail, seed %i', { timeout: 120_000 }, async (seed) => {
    const { history } = await simulatePausing(seed)
    const failed = new Set(
      history.attempts.filter(({ outcome }) => outcome === 'threw').map(({ key }) => key),
    )
    expect(failed.size).toBeGreaterThan(100)
    expect(history.acknowledged).toHaveLength(300)
  })
})
