import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import flights from './app.ts'
import { FlightLanded } from './events.ts'

type Course = Pick<SimulateOptions, 'events' | 'twice'>

const airports = ['SEA', 'ORD', 'JFK']

/** Lets flights land under crashes, failing handlers and repeated publishing, as the seed decides. */
export function simulateFlights(seed: number, course: Course = {}): Promise<SimulationReport> {
  return simulate(flights, {
    seed,
    ...course,
    steps: 500,
    publish: (random) => ({
      type: FlightLanded,
      data: {
        date: '2001/01/01 12:00',
        origin: random.pick(airports),
        destination: random.pick(airports),
        distance: random.between(100, 2_500),
        delay: random.between(-20, 150),
      },
    }),
    check: checkAlerts,
  })
}

/** There is one alert for each flight that was an hour late, and none for any other. */
function checkAlerts({ history }: SimulationReport): void {
  const gaveUp = new Set(
    history.deadLetters.filter(({ handler }) => handler === 'alert-delays').map(({ id }) => id),
  )
  const alerts = history.log.flatMap(({ event }) =>
    event.type === 'flight.delayed' ? [(event.data as { flight: string }).flight] : [],
  )
  for (const { event } of history.log) {
    if (event.type !== FlightLanded.type || gaveUp.has(event.id)) continue
    const expected = (event.data as { delay: number }).delay >= 60 ? 1 : 0
    const found = alerts.filter((flight) => flight === event.id).length
    if (found !== expected) throw new Error(`'${event.id}' has ${found} alerts, and should have ${expected}`)
  }
}
