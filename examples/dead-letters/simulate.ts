import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import parcels from './app.ts'

type Course = Pick<SimulateOptions, 'events' | 'twice'>

const ParcelPacked = parcels.events.get('parcels.packed')

/** Packs parcels for carriers that are known and unknown, under all faults, as the seed decides. */
export async function simulateParcels(seed: number, course: Course = {}): Promise<SimulationReport> {
  if (ParcelPacked === undefined) throw new TypeError('there are no parcels')
  return await simulate(parcels, {
    seed,
    ...course,
    steps: 500,
    publish: (random) => ({
      type: ParcelPacked,
      // Unless the environment names carriers, the only one that is known has no name.
      data: { parcel: `p-${random.below(8)}`, carrier: random.pick(['', 'nobody']) },
    }),
    check: checkLabels,
  })
}

/** No label is printed for a carrier that nobody has a contract with: those parcels are dead letters, every one. */
function checkLabels({ history }: SimulationReport): void {
  const gaveUp = new Set(history.deadLetters.map(({ id }) => id))
  const printed = new Set(
    history.log.map(({ event }) => event.type === 'parcels.label.printed' && event.causationid),
  )
  for (const { event } of history.log) {
    if (event.type !== 'parcels.packed') continue
    const isKnown = (event.data as { carrier: string }).carrier === ''
    if (printed.has(event.id) && !isKnown) throw new Error(`'${event.id}' has a label, and no carrier`)
    if (!printed.has(event.id) && !gaveUp.has(event.id)) throw new Error(`'${event.id}' has neither`)
  }
}
