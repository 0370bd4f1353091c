import { simulateParcels } from '../../examples/dead-letters/simulate.ts'
import { simulateFlights } from '../../examples/flights/simulate.ts'
import { simulateSales } from '../../examples/rules/simulate.ts'
import { simulateShop } from '../../examples/shop/simulate.ts'
import { simulateOrders } from '../../examples/xml/simulate.ts'
import { olderProbeApp, probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { type SimulationReport, simulate } from '../../src/testing/simulate.ts'

/** Simulates one seed of an application. Rejects with `SimulationFailed`. */
export type Subject = (seed: number) => Promise<SimulationReport>

/** The applications that are simulated: the one that uses all there is, before and behind an upgrade, and every example. */
export const subjects: Readonly<Record<string, Subject>> = {
  probe: (seed) => simulate(probeApp, { seed, publish: publishProbe, replay: replayProbe }),
  'probe-upgraded': (seed) =>
    simulate(probeApp, {
      seed,
      predecessor: olderProbeApp,
      publish: publishProbe,
      replay: (settings) => `${replayProbe(settings)} --upgrade`,
    }),
  shop: simulateShop,
  flights: simulateFlights,
  parcels: simulateParcels,
  edi: simulateOrders,
  sales: simulateSales,
}
