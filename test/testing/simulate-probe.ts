import { expect } from 'vitest'
import { probeCourseOf } from '../../scripts/torture/subjects.ts'
import type { Faults } from '../../src/testing/faults.ts'
import type { History } from '../../src/testing/history.ts'
import { probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { simulate } from '../../src/testing/simulate.ts'

/** What a number of seeds did, summed up: a rule that held because nothing happened would prove nothing. */
export interface Sums {
  acknowledged: number
  attempts: number
  thrown: number
  deadLetters: number
  parked: number
  crashes: number
  /** Commands whose decision somebody was told. */
  decided: number
}

/** Simulates the probe application for some seeds, most of them in short courses, and says what happened in all of them. */
export async function simulateProbe(firstSeed: number, seeds: number, faults: Faults): Promise<Sums> {
  const sums: Sums = {
    acknowledged: 0,
    attempts: 0,
    thrown: 0,
    deadLetters: 0,
    parked: 0,
    crashes: 0,
    decided: 0,
  }
  let published = 0
  for (let seed = firstSeed; seed < firstSeed + seeds; seed += 1) {
    const { history, trace, settings } = await simulate(probeApp, {
      ...probeCourseOf(seed),
      seed,
      faults,
      publish: publishProbe,
      replay: replayProbe,
    })
    add(sums, history)
    published += settings.events
    sums.crashes += trace.filter((line) => line.endsWith(' crashes')).length
  }
  expect(sums.acknowledged).toBeGreaterThan(0.8 * published)
  return sums
}

function add(sums: Sums, { acknowledged, attempts, deadLetters, parked, results = [] }: History): void {
  sums.acknowledged += acknowledged.length
  sums.attempts += attempts.length
  sums.thrown += attempts.filter(({ outcome }) => outcome === 'threw').length
  sums.deadLetters += deadLetters.length
  sums.parked += parked.length
  sums.decided += results.filter(({ told }) => typeof told === 'object').length
}
