/**
 * Goal: handlers that are renamed, take less than before, or are gone, leave the others and themselves with what is theirs, whatever
 * fails while the next version takes over; and the bounds of what is held in memory keep every guarantee. Method: a version that is
 * stopped with work pending, and its successor, which is refused until it forgets; and so much at once that every bound is reached.
 */
import { describe, expect, it } from 'vitest'
import { simulateBulk } from '../../scripts/torture/courses/bulk.ts'
import { simulateChanged } from '../../scripts/torture/courses/changed.ts'
import { windowBounds } from '../../src/bus/subscription.ts'

describe('the guarantees hold', () => {
  it('when handlers change while everything fails', { timeout: 120_000 }, async () => {
    const attempts = { former: 0, latter: 0, dropped: 0 }
    for (let seed = 1; seed <= 15; seed += 1) {
      const { history } = await simulateChanged(seed)
      for (const { handler, process } of history.attempts) {
        if (handler === 'dropped') attempts.dropped += 1
        if (handler === 'latter') attempts[process === 'p1.1' ? 'former' : 'latter'] += 1
      }
    }
    expect(attempts.former).toBeGreaterThan(20)
    expect(attempts.latter).toBeGreaterThan(20)
    expect(attempts.dropped).toBeGreaterThan(20)
  })

  it('when so much comes at once that every bound is reached', { timeout: 120_000 }, async () => {
    const { history } = await simulateBulk(3, { twice: false })
    const ofKey = history.log.filter(({ topic }) => topic === 'bulk-long')
    expect(ofKey.length).toBeGreaterThan(windowBounds.perKey)
    expect(history.log.length).toBeGreaterThan(10_000)
  })
})
