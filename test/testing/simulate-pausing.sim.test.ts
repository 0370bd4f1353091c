/**
 * Goal: a subscription that pauses, because most of its keys fail, loses nothing and goes on when they do no more. Method: as
 * in `simulate.sim.test.ts`, with so many keys and so many failures that it must pause, which few keys never make it.
 */
import { describe, expect, it } from 'vitest'
import { app } from '../../src/app/app.ts'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { simulate } from '../../src/testing/simulate.ts'

const Counted = event('counted', {
  schema: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as number }) } },
  key: (number) => `k${number}`,
})

const failing = app({
  name: 'failing',
  handlers: [
    on(Counted, { name: 'fail', from: 'start', retry: { attempts: 4, baseMs: 20 } }, () => undefined),
  ],
})

describe('the guarantees hold', () => {
  it.each([1, 2, 3])('when most keys of a handler fail, seed %i', { timeout: 120_000 }, async (seed) => {
    const { history } = await simulate(failing, {
      seed,
      events: 300,
      steps: 6_000,
      processes: 2,
      partitions: 1,
      faults: { handler: 0.9, crash: 0.0003 },
      publish: (random) => ({ type: Counted, data: random.below(1_000) }),
    })
    const failed = new Set(
      history.attempts.filter(({ outcome }) => outcome === 'threw').map(({ key }) => key),
    )
    expect(failed.size).toBeGreaterThan(100)
    expect(history.acknowledged).toHaveLength(300)
  })
})
