import { simulateParcels } from '../../examples/dead-letters/simulate.ts'
import { simulateFlights } from '../../examples/flights/simulate.ts'
import { simulateSales } from '../../examples/rules/simulate.ts'
import { simulateShop } from '../../examples/shop/simulate.ts'
import { simulateBank } from '../../examples/streams/simulate.ts'
import { simulateOrders } from '../../examples/xml/simulate.ts'
import { olderProbeApp, probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../src/testing/simulate.ts'
import { simulateBulk } from './courses/bulk.ts'
import { simulateChanged } from './courses/changed.ts'
import { simulateDamaged } from './courses/damaged.ts'
import { simulateFarBehind, simulatePartlyKeyed, simulatePausing } from './courses/keys.ts'
import { simulateOperated } from './courses/operated.ts'
import { simulateFed, simulateLoops, simulateVersions } from './courses/outside.ts'
import { simulateRules } from './courses/rules.ts'
import { simulateVaried } from './courses/varied.ts'

/** Simulates one seed of an application. Rejects with `SimulationFailed`. */
export type Subject = (seed: number) => Promise<SimulationReport>

/** One seed of so many takes a whole course, and takes it twice. */
const wholeEvery = 10

/**
 * A short course, in which faults fall close together, finds in the same time several times what a long one does, of which most
 * comes after the faults: so most seeds have few events.
 */
function courseOf(seed: number): Pick<SimulateOptions, 'events' | 'twice'> {
  return seed % wholeEvery === 0 ? {} : { events: 4 + (seed % 6), twice: false }
}

/** That of the application that uses all there is: on logs and among processes of different numbers too. */
export function probeCourseOf(seed: number): Partial<SimulateOptions> {
  const course = courseOf(seed)
  if (course.events === undefined) return course
  return { ...course, steps: 120 * course.events, processes: 2 + (seed % 2), partitions: 1 + (seed % 3) }
}

/** The example applications, each with its own rules. */
export const examples: Readonly<Record<string, Subject>> = {
  shop: (seed) => simulateShop(seed, courseOf(seed)),
  flights: (seed) => simulateFlights(seed, courseOf(seed)),
  parcels: (seed) => simulateParcels(seed, courseOf(seed)),
  edi: (seed) => simulateOrders(seed, courseOf(seed)),
  bank: (seed) =>
    simulateBank(seed, { ...courseOf(seed), ...(seed % 2 === 0 ? {} : { engine: 'journaled' }) }),
  sales: (seed) => simulateSales(seed, courseOf(seed)),
}

/** Of so many seeds one lets a handler pause, one lets a key fall far behind, and one fills everything: all take hundreds of events. */
const crowdedEvery = 40

function simulateKeys(seed: number): Promise<SimulationReport> {
  if (seed % crowdedEvery === 1) return simulatePausing(seed, { twice: false })
  if (seed % crowdedEvery === 2) return simulateFarBehind(seed, { twice: false })
  if (seed % crowdedEvery === 3) return simulateBulk(seed, { twice: false })
  return simulatePartlyKeyed(seed, probeCourseOf(seed))
}

const outside = [simulateFed, simulateVersions, simulateLoops, simulateChanged, simulateDamaged] as const

/**
 * The applications that are simulated: the one that uses all there is, before and behind an upgrade, and with an operator; one whose
 * handlers and callers do what they can do wrong; rules that change; keys that are not there, fail or fall behind; sources, events of
 * other versions, chains without an end, handlers that change and records that are damaged; and every example.
 */
export const subjects: Readonly<Record<string, Subject>> = {
  probe: (seed) =>
    simulate(probeApp, { ...probeCourseOf(seed), seed, publish: publishProbe, replay: replayProbe }),
  'probe-upgraded': (seed) =>
    simulate(probeApp, {
      ...probeCourseOf(seed),
      seed,
      predecessor: olderProbeApp,
      publish: publishProbe,
      replay: (settings) => `${replayProbe(settings)} --upgrade`,
    }),
  'probe-journaled': (seed) =>
    simulate(probeApp, {
      ...probeCourseOf(seed),
      seed,
      engine: 'journaled',
      publish: publishProbe,
      replay: replayProbe,
    }),
  operated: (seed) => simulateOperated(seed, probeCourseOf(seed)),
  varied: (seed) => simulateVaried(seed, probeCourseOf(seed)),
  rules: (seed) => simulateRules(seed, probeCourseOf(seed)),
  keys: simulateKeys,
  outside: (seed) => (outside[seed % outside.length] ?? simulateFed)(seed, probeCourseOf(seed)),
  ...examples,
}
