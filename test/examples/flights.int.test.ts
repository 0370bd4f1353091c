import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SeededRandom } from '../../src/testing/random.ts'
import { Workplace } from '../cli/process.ts'
import { sharedEngines } from '../engines/shared-logs.ts'
import { FlightsProcess, type Outcome, readRows } from './flights-process.ts'

/**
 * The goal: wherever the process dies, the next one goes on there, and what comes out is what comes out of a run that
 * nothing stopped. The method: the example runs on a real log and is killed with SIGKILL each time that it has begun a
 * seeded number of attempts, wherever that finds it: importing, handling, trying again, or not yet up. Then the log and the
 * figures are compared with those of a run that was let be, and with the data itself.
 */

const someFlights = 3_000
const allFlights = 20_000

let place: Workplace

beforeEach(async () => {
  place = await Workplace.make()
})

afterEach(async () => {
  await place[Symbol.asyncDispose]()
})

/** Runs the example to its end, and kills it so many times on the way. */
async function run(
  flights: number,
  { seed, kills, log }: { readonly seed: number; readonly kills: number; readonly log?: string },
) {
  const random = new SeededRandom(seed, 'kills')
  let killedAtWork = 0
  for (let kill = 0; kill < kills; kill += 1) {
    const killed = await FlightsProcess.start(place, flights, log)
    // Every flight takes two attempts at least: what all kills together wait for is less than there is to do.
    const atWork = await killed.begun(random.below(Math.floor((2 * flights) / kills)))
    if (atWork) killedAtWork += 1
    await killed.kill()
  }
  const last = await FlightsProcess.start(place, flights, log)
  const finished = await last.finished
  const outcome = await last.outcome(await readRows(flights))
  await last.kill()
  return { outcome, finished, killedAtWork }
}

/** What the data itself says of the airports, the alerts and the flights. */
async function expectedOf(flights: number) {
  const rows = await readRows(flights)
  const codes = [...new Set(rows.map(({ destination }) => destination))].sort()
  return {
    landed: rows.map((_, index) => `flight-${index + 1}`).sort(),
    alerts: rows.flatMap(({ delay }, index) => (delay >= 60 ? [`flight-${index + 1}`] : [])).sort(),
    airports: codes.map((code) => {
      const delays = rows.filter(({ destination }) => destination === code).map(({ delay }) => delay)
      const mean = delays.reduce((sum, delay) => sum + delay, 0) / delays.length
      return {
        airport: code,
        flights: delays.length,
        // A mean of minus zero is zero in JSON.
        meanMinutes: Math.round(mean * 10) / 10 + 0,
        worstMinutes: Math.max(0, ...delays),
        alerts: delays.filter((delay) => delay >= 60).length,
      }
    }),
  }
}

function expectWhole(outcome: Outcome, expected: Awaited<ReturnType<typeof expectedOf>>): void {
  expect(outcome.landed).toEqual(expected.landed)
  expect(outcome.alerts).toEqual(expected.alerts)
  expect(outcome.airports).toMatchObject(expected.airports)
  expect(new Set(outcome.deadLetters).size).toBe(outcome.deadLetters.length)
  const airports = outcome.airports as { told: number }[]
  const told = airports.reduce((sum, airport) => sum + airport.told, 0)
  expect(told + outcome.deadLetters.length).toBe(outcome.alerts.length)
  expect(outcome.deadLetters.length).toBeGreaterThan(0)
}

describe('examples/flights', () => {
  test('ends alike whether it was killed on the way or not', async () => {
    const expected = await expectedOf(someFlights)
    const undisturbed = await run(someFlights, { seed: 0, kills: 0 })
    expect(undisturbed.finished).toMatchObject({ found: 0, imported: someFlights })
    expectWhole(undisturbed.outcome, expected)
    for (const seed of [1, 2, 3]) {
      await place[Symbol.asyncDispose]()
      place = await Workplace.make()
      const killed = await run(someFlights, { seed, kills: 4 })
      expect(killed.killedAtWork, `kills while at work, seed ${seed}`).toBeGreaterThan(0)
      expect(killed.outcome, `seed ${seed}`).toEqual(undisturbed.outcome)
    }
  })

  test('brings in all flights, each once, and adds nothing when it runs again', {
    timeout: 180_000,
  }, async () => {
    const { outcome } = await run(allFlights, { seed: 4, kills: 3 })
    expectWhole(outcome, await expectedOf(allFlights))
    const again = await run(allFlights, { seed: 0, kills: 0 })
    expect(again.finished).toMatchObject({ found: allFlights, imported: allFlights })
    expect(again.outcome).toEqual(outcome)
  })
})

for (const engine of sharedEngines) {
  describe.runIf(engine.isHere)(`examples/flights on ${engine.name}`, () => {
    test('ends alike though it was killed on the way', async () => {
      const servers = await engine.start()
      try {
        const { outcome, killedAtWork } = await run(someFlights, { seed: 3, kills: 3, log: servers.newLog() })
        expect(killedAtWork).toBeGreaterThan(0)
        expectWhole(outcome, await expectedOf(someFlights))
      } finally {
        await servers.remove()
      }
    })
  })
}
