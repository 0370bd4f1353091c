import { type RunningApp, start } from 'millrace'
import { expect, test } from 'vitest'
import flightsApp from '../../examples/flights/app.ts'
import { importFlights, readFlights } from '../../examples/flights/import.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { openMemory } from '../../src/engines/memory/index.ts'

const hourMs = 3_600_000

test('goes on behind the last batch in the log, also when its ids are long forgotten', async () => {
  const real = realRuntime()
  let laterMs = 0
  const runtime = { ...real, now: () => real.now() + laterMs }
  const engine = await openMemory({ runtime })
  const flights = await readFlights('5000')

  // Stopped as soon as a batch is in the log, before anything of it is handled.
  for (const stopAt of [1000, 3000]) {
    const running = await start(flightsApp, { log: engine, runtime })
    const stopping = new AbortController()
    const onProgress = (imported: number) => {
      if (imported === stopAt) stopping.abort(new Error('stopped'))
    }
    await importFlights(running, flights, onProgress, stopping.signal)
    await running.stop({ now: true })
    expect(await landed(running)).toBe(stopAt)
    laterMs += hourMs
  }

  const running = await start(flightsApp, { log: engine, runtime })
  const progress: number[] = []
  await importFlights(
    running,
    flights,
    (imported) => void progress.push(imported),
    new AbortController().signal,
  )
  await running.stop({ now: true })
  expect(progress).toEqual([3000, 4000, 5000])
  expect(await landed(running)).toBe(5000)
  await engine.close()
})

/** How many flights are in the log. */
async function landed({ engine }: RunningApp): Promise<number> {
  let count = 0
  for (let partition = 0; partition < engine.partitions; partition += 1) {
    const at = { topic: 'flights', partition }
    const { records } = await engine.read(at, 0, { records: 100_000, bytes: 100_000_000 })
    count += records.length
  }
  return count
}
