import { type App, app } from '../../../src/app/app.ts'
import { on } from '../../../src/bus/definitions.ts'
import { windowBounds } from '../../../src/bus/subscription.ts'
import { event } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'

const numbers: Schema<number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as number }) },
}
const publishAny = <Type>(type: Type, below: number): SimulateOptions['publish'] => {
  return (random) => ({ type: type as never, data: random.below(below) })
}

const Numbered = event('numbered', { schema: numbers, key: (number) => `k${number % 4}` })
const partlyKeyed: App = app({
  name: 'partly-keyed',
  handlers: [
    on(
      Numbered,
      {
        name: 'shelve',
        from: 'start',
        retry: { attempts: 3, baseMs: 20 },
        key: (number) => {
          if (number % 5 === 0) throw new Error('no shelf')
          return `shelf-${number % 3}`
        },
      },
      () => undefined,
    ),
  ],
})

/** Some events have no key for a handler with one of its own. */
export function simulatePartlyKeyed(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(partlyKeyed, { seed, ...course, faults: faultKinds, publish: publishAny(Numbered, 100) })
}

const Failing = event('failing', { schema: numbers, key: (number) => `k${number}` })
const failing: App = app({
  name: 'failing',
  handlers: [
    on(Failing, { name: 'fail', from: 'start', retry: { attempts: 4, baseMs: 20 } }, () => undefined),
    // What still runs of few ends no pause.
    on(
      Failing,
      { name: 'fail-one-by-one', from: 'start', retry: { attempts: 2, baseMs: 20 }, concurrency: 1 },
      () => undefined,
    ),
  ],
})

/** So many keys, of which so many fail, that the handler must pause, which few keys never make it. */
export function simulatePausing(
  seed: number,
  course: Pick<SimulateOptions, 'twice'> = {},
): Promise<SimulationReport> {
  return simulate(failing, {
    seed,
    ...course,
    events: 300,
    steps: 6_000,
    processes: 2,
    partitions: 1,
    faults: { handler: 0.9, crash: 0.0003 },
    publish: publishAny(Failing, 1_000),
  })
}

const Counted = event('counted', { schema: numbers, key: () => 'the only one' })
const oneKey: App = app({
  name: 'one-key',
  handlers: [
    on(Counted, { name: 'keep', from: 'start', retry: { attempts: 2, baseMs: 10 } }, () => undefined),
    on(
      Counted,
      { name: 'hold', from: 'start', retry: { attempts: 1 }, whenExhausted: 'park' },
      () => undefined,
    ),
  ],
})

/** One key is so far behind that not all of it is held in memory. */
export function simulateFarBehind(
  seed: number,
  course: Pick<SimulateOptions, 'twice'> = {},
): Promise<SimulationReport> {
  return simulate(oneKey, {
    seed,
    ...course,
    events: windowBounds.perKey + 150,
    steps: 6_000,
    processes: 2,
    partitions: 1,
    faults: { handler: 0.05, crash: 0.0005, session: 0.0005 },
    publish: publishAny(Counted, 100),
  })
}
