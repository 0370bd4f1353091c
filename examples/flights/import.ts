import { readFile } from 'node:fs/promises'
import { on, type RunningApp } from 'millrace'
import { z } from 'zod'
import { type Flight, FlightLanded, ImportProgressed } from './events.ts'

const file = 'flights-20k.json'
const batchFlights = 1000

/** Reads the flights: 20,000 real ones of 2001, or the first `FLIGHTS` of them. */
export async function readFlights(count = process.env.FLIGHTS): Promise<readonly Flight[]> {
  const url = new URL(`../data/${file}`, import.meta.resolve('vega-datasets'))
  const flights: Flight[] = JSON.parse(await readFile(url, 'utf8'))
  return count === undefined ? flights : flights.slice(0, Number(count))
}

/** Remembers how much of a file is in the log. */
export const followImport = on(
  ImportProgressed,
  { name: 'follow-import', from: 'start', state: { imported: z.int().default(0) } },
  ({ data }, ctx) => ctx.state.imported.set(data.imported),
)

/**
 * Puts the flights into the log that are not in it yet. Each batch is appended in one step with an event that says how far
 * the import has come, so whatever stops the process, and however long, the next run goes on exactly behind the last batch.
 */
export async function importFlights(
  running: RunningApp,
  flights: readonly Flight[],
  onProgress: (imported: number) => void,
  signal: AbortSignal,
): Promise<void> {
  // The last batch before a crash may be in the log without having been handled.
  await running.settled(signal)
  let { imported } = await running.read(followImport, file)
  onProgress(imported)
  while (imported < flights.length && !signal.aborted) {
    const batch = flights.slice(imported, imported + batchFlights)
    const first = imported
    imported += batch.length
    await running.accept([
      ...batch.map((flight, index) => flightEvent(flight, first + index)),
      {
        specversion: '1.0',
        id: `${file}:${imported}`,
        source: 'flights/import',
        type: ImportProgressed.type,
        data: { file, imported },
      },
    ])
    onProgress(imported)
  }
}

/** The event of a row: its id is its place in the file, and its time is when the flight landed. */
function flightEvent(flight: Flight, index: number) {
  return {
    specversion: '1.0' as const,
    id: `flight-${index + 1}`,
    source: 'flights/import',
    type: FlightLanded.type,
    time: `${flight.date.replaceAll('/', '-').replace(' ', 'T')}:00Z`,
    data: flight,
  }
}
