import { describe, expect, it } from 'vitest'
import { shrink } from '../../src/testing/shrink.ts'
import type { SimulationOutcome, SimulationSettings } from '../../src/testing/simulation.ts'

const settings: SimulationSettings = {
  seed: 1,
  steps: 512,
  rates: { crash: 0.1, clock: 0.1, handler: 0.1 },
  engine: 'memory',
  processes: 3,
  partitions: 4,
  events: 40,
  without: [],
}

/** A course whose faults are numbered from 0 to 9, less those that are left out. */
function outcomeOf({ without }: SimulationSettings): SimulationOutcome {
  const faults = Array.from({ length: 10 }, (_, number) => number).filter(
    (number) => !without.includes(number),
  )
  return { faults, trace: [], problems: [], virtualMs: 0 } as unknown as SimulationOutcome
}

describe('shrink', () => {
  it('finds the fewest steps, kinds, processes, events and faults that still fail', async () => {
    const fails = (candidate: SimulationSettings) =>
      candidate.steps >= 100 &&
      candidate.rates.crash !== undefined &&
      candidate.processes >= 2 &&
      candidate.events >= 10 &&
      [3, 7].every((number) => !candidate.without.includes(number))
    const shortest = await shrink(
      { settings, outcome: outcomeOf(settings) },
      async (candidate) => (fails(candidate) ? outcomeOf(candidate) : undefined),
      200,
    )
    expect(shortest.settings.steps).toBeLessThan(105)
    expect(shortest.settings.rates).toEqual({ crash: 0.1 })
    expect(shortest.settings.processes).toBe(2)
    expect(shortest.settings.events).toBe(10)
    expect(shortest.outcome.faults).toEqual([3, 7])
  })

  it('gives what it was given when nothing shorter fails', async () => {
    const found = { settings, outcome: outcomeOf(settings) }
    expect(await shrink(found, async () => undefined)).toEqual(found)
  })

  it('stops at its budget', async () => {
    let courses = 0
    await shrink(
      { settings, outcome: outcomeOf(settings) },
      async (candidate) => {
        courses += 1
        return outcomeOf(candidate)
      },
      5,
    )
    expect(courses).toBe(5)
  })
})
