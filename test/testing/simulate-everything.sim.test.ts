/**
 * Goal: no history that faults of all kinds together can cause breaks a guarantee, and neither does a key that is far
 * behind, nor an event that a handler has no key for. Method: as in `simulate.sim.test.ts`; and one key with more records
 * waiting than are held in memory for a key.
 */
import { describe, expect, it } from 'vitest'
import { simulateFarBehind, simulatePartlyKeyed } from '../../scripts/torture/courses/keys.ts'
import { windowBounds } from '../../src/bus/subscription.ts'
import { faultKinds } from '../../src/testing/faults.ts'
import { olderProbeApp, probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { simulate } from '../../src/testing/simulate.ts'
import { simulateProbe } from './simulate-probe.ts'

describe('the guarantees hold', () => {
  it('when some events have no key for a handler with one of its own', { timeout: 120_000 }, async () => {
    let withoutKey = 0
    for (let seed = 1; seed <= 20; seed += 1) {
      const { history } = await simulatePartlyKeyed(seed)
      withoutKey += history.log.filter(
        ({ event }) => event.millraceto !== undefined && event.millracekey === undefined,
      ).length
    }
    expect(withoutKey).toBeGreaterThan(20)
  })

  it.each([1, 61, 121])('when everything fails, seeds from %i', { timeout: 120_000 }, async (firstSeed) => {
    const { crashes, thrown, decided } = await simulateProbe(firstSeed, 60, faultKinds)
    expect(crashes).toBeGreaterThan(25)
    expect(thrown).toBeGreaterThan(200)
    expect(decided).toBeGreaterThan(100)
  })

  it('when new handlers begin on what was there before them', { timeout: 120_000 }, async () => {
    let silent = 0
    for (let seed = 1; seed <= 15; seed += 1) {
      const { history } = await simulate(probeApp, {
        seed,
        predecessor: olderProbeApp,
        publish: publishProbe,
        replay: (settings) => `${replayProbe(settings)} --upgrade`,
      })
      silent += history.attempts.filter((attempt) => attempt.silent).length
    }
    expect(silent).toBeGreaterThan(50)
  })

  it.each([1, 2, 3])('when one key is far behind, seed %i', { timeout: 120_000 }, async (seed) => {
    const { history } = await simulateFarBehind(seed)
    expect(history.acknowledged).toHaveLength(windowBounds.perKey + 150)
    expect(
      Math.max(...history.cursors.flatMap(({ held }) => held.map(({ first, last }) => last - first))),
    ).toBeGreaterThan(windowBounds.perKey / 2)
  })
})
