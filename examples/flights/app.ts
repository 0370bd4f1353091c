import { hash } from 'node:crypto'
import { app, http, on, type RouteContext, type RunningApp } from 'millrace'
import { z } from 'zod'
import { FlightDelayed, FlightLanded } from './events.ts'
import { followImport, importFlights, readFlights } from './import.ts'
import { type AirportReport, type MainOptions, reportRun, showProgress } from './summary.ts'

const longDelayMinutes = 60

/** Keeps the figures of every airport. The state is that of the event's key, and commits with its being handled. */
const airportFigures = on(
  FlightLanded,
  {
    name: 'airport-figures',
    from: 'start',
    state: {
      flights: z.int().default(0),
      delayMinutes: z.int().default(0),
      worstMinutes: z.int().default(0),
    },
  },
  async ({ data }, { state }) => {
    state.flights.set((await state.flights.get()) + 1)
    state.delayMinutes.set((await state.delayMinutes.get()) + data.delay)
    state.worstMinutes.set(Math.max(await state.worstMinutes.get(), data.delay))
  },
)

/** Raises an alert for a long delay: an event like any other, appended together with the flight's being handled. */
const alertDelays = on(
  FlightLanded,
  { name: 'alert-delays', from: 'start', state: { alerts: z.int().default(0) } },
  async ({ id, data }, ctx) => {
    if (data.delay < longDelayMinutes) return
    const { origin, destination, delay } = data
    ctx.emit(FlightDelayed, { flight: id, origin, destination, delay })
    ctx.state.alerts.set((await ctx.state.alerts.get()) + 1)
  },
)

/** Tells passengers' relatives. What fails is tried again, and after four attempts it is a dead letter. */
const tellRelatives = on(
  FlightDelayed,
  {
    name: 'tell-relatives',
    from: 'start',
    state: { told: z.int().default(0) },
    retry: { attempts: 4, baseMs: 50 },
  },
  async ({ data }, ctx) => {
    await ctx.once('message', () => sendMessage(data.flight, ctx.attempt))
    ctx.state.told.set((await ctx.state.told.get()) + 1)
  },
)

/** Stands for a service that fails now and then, and always for the same flights, so that every run ends alike. */
function sendMessage(flight: string, attempt: number): void {
  const chance = hash('sha256', flight, 'buffer').readUInt8() / 256
  if (chance < 0.02) throw new Error(`nobody waits for ${flight}`)
  if (chance < 0.1 && attempt < 3) throw new Error('the message service is busy')
}

/** What is known of an airport, put together from what the handlers keep for it. */
async function airport(from: Pick<RouteContext, 'read'>, code: string): Promise<AirportReport> {
  const { flights, delayMinutes, worstMinutes } = await from.read(airportFigures, code)
  const { alerts } = await from.read(alertDelays, code)
  const { told } = await from.read(tellRelatives, code)
  const meanMinutes = flights === 0 ? 0 : Math.round((delayMinutes / flights) * 10) / 10
  return { airport: code, flights, meanMinutes, worstMinutes, alerts, told }
}

export default app({
  name: 'flights',
  handlers: [airportFigures, alertDelays, tellRelatives, followImport],
  routes: [
    http.get('/airports/:code', {}, async ({ params }, ctx) => {
      const found = await airport(ctx, params.code)
      return Response.json(found, { status: found.flights === 0 ? 404 : 200 })
    }),
  ],
})

/** Runs once the application is started: brings the flights in, waits until all is handled, and says what happened. */
export async function main(running: RunningApp, options: MainOptions): Promise<void> {
  const flights = await readFlights()
  const progress = showProgress(running, flights.length, options)
  try {
    await importFlights(running, flights, progress.imported, options.signal)
    await running.settled(options.signal)
  } finally {
    await progress.end()
  }
  const codes = [...new Set(flights.map(({ destination }) => destination))]
  const airports = await Promise.all(codes.map((code) => airport(running, code)))
  await reportRun(running, airports, progress.figures(), options)
}
