/**
 * Goal: the simulation finds a processor that is wrong. Method: break it in one place, by an engine that makes something
 * else of its commits, and count the seeds until a rule fails.
 */
import { describe, expect, it } from 'vitest'
import { app } from '../../src/app/app.ts'
import { on } from '../../src/bus/definitions.ts'
import type { Change, KeyValue } from '../../src/log/port.ts'
import { faultKinds } from '../../src/testing/faults.ts'
import { probeApp, publishProbe, replayProbe } from '../../src/testing/probe-app.ts'
import { type SimulateOptions, SimulationFailed, simulate } from '../../src/testing/simulate.ts'
import type { StartFunction } from '../../src/testing/simulated-process.ts'
import { isCursor, isParkedKey, startWith, startWithCommits } from './broken-start.ts'

async function failureOf(
  simulated: typeof probeApp,
  options: Omit<SimulateOptions, 'seed'>,
  seeds = 60,
): Promise<SimulationFailed> {
  for (let seed = 1; seed <= seeds; seed += 1) {
    try {
      await simulate(simulated, { seed, ...options })
    } catch (error) {
      if (error instanceof SimulationFailed) return error
      throw error
    }
  }
  throw new Error(`${seeds} seeds found nothing`)
}

const probe = (start: StartFunction) =>
  failureOf(probeApp, {
    start,
    faults: faultKinds,
    publish: publishProbe,
    replay: replayProbe,
    shorterCourses: 0,
    ...{ events: 8, steps: 900, processes: 2, partitions: 2, twice: false },
  })

const nothing: Change = { puts: [], deletes: [], appends: [] }

describe('the simulation finds a processor', { timeout: 120_000 }, () => {
  it('that commits cursors before effects', async () => {
    const { breaches } = await probe(
      startWithCommits((change) => [
        { ...nothing, puts: change.puts.filter(isCursor) },
        { ...change, puts: change.puts.filter((put) => !isCursor(put)) },
      ]),
    )
    expect(breaches.join()).toContain('cursors stay behind effects')
  })

  it('that commits what is handed on by another key before cursors', async () => {
    const isSource = ({ key }: KeyValue) => /^subscription\/(dispatch|survey)\/probe/.test(key)
    const { breaches } = await probe(
      startWithCommits((change) => [
        { ...change, puts: change.puts.filter((put) => !isSource(put)) },
        { ...nothing, puts: change.puts.filter(isSource) },
      ]),
    )
    expect(breaches.join()).toContain('what is handed on by another key is so once')
  })

  it('that commits effects before cursors', async () => {
    const { breaches } = await probe(
      startWithCommits((change) => [
        { ...change, puts: change.puts.filter((put) => !isCursor(put)) },
        { ...nothing, puts: change.puts.filter(isCursor) },
      ]),
    )
    expect(breaches.join()).toContain('nothing is handled twice')
  })

  it('that keeps parked keys in memory only', async () => {
    const { breaches } = await probe(
      startWithCommits((change) => [{ ...change, puts: change.puts.filter((put) => !isParkedKey(put)) }]),
    )
    expect(breaches.join()).toContain('cursors stay behind effects')
  })

  it('that commits state and emitted events apart', async () => {
    const { breaches } = await probe(
      startWithCommits((change) => [
        { ...change, puts: change.puts.filter(({ key }) => !key.startsWith('state/')) },
        { ...nothing, puts: change.puts.filter(({ key }) => key.startsWith('state/')) },
      ]),
    )
    expect(breaches.join()).toContain('state follows effects')
  })

  it('that forgets what `once` gave', async () => {
    const { breaches } = await probe(
      startWithCommits((change) => [
        { ...change, puts: change.puts.filter(({ key }) => !key.startsWith('once/')) },
      ]),
    )
    expect(breaches.join()).toContain('once is stable')
  })

  it('that takes a repeated publish for a new one', async () => {
    const { breaches } = await probe(
      startWith((engine, name) => {
        if (name !== 'append') return undefined
        const append: typeof engine.append = (entries, signal) =>
          engine.append(
            entries.map(({ topic, partition, value, timeMs }) => ({ topic, partition, value, timeMs })),
            signal,
          )
        return append
      }),
    )
    expect(breaches.join()).toContain('acknowledged events are kept')
  })
})

describe('a simulation that fails', { timeout: 120_000 }, () => {
  const [Placed] = probeApp.handlers[0]?.events ?? []
  if (Placed === undefined) throw new Error('the probe application should handle an event')
  const publish = () => ({ type: Placed, data: { key: 'k', number: 1 } })

  it('says how to run it again, and shows the shortest history', async () => {
    const failed = await failureOf(probeApp, {
      publish: publishProbe,
      replay: replayProbe,
      check: ({ history }) => {
        if (history.acknowledged.length > 2) throw new Error('more than two events')
      },
    })
    expect(failed.breaches).toEqual(['the check of the application: more than two events'])
    expect(failed.message).toContain('npm run simulate -- --seed 1 --steps ')
    expect(failed.message).toMatch(/acknowledged 'e\d+' at probe/)
    expect(failed.report.settings.events).toBeLessThan(8)
    expect(Object.keys(failed.report.settings.rates).length).toBeLessThan(3)
  })

  it('tells of an application that takes chance from elsewhere', async () => {
    let runs = 0
    const guessing = app({
      name: 'guessing',
      handlers: [
        on(Placed, { name: 'guess', from: 'start' }, () => {
          runs += 1
          if (runs > 3) throw new Error(`run ${runs}`)
        }),
      ],
    })
    const failed = await failureOf(guessing, { publish, faults: [], events: 4 })
    expect(failed.message).toContain('took another course the second time')
    expect(failed.message).toContain('then: ')
  })
})
