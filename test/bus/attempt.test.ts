import { event, on } from 'millrace'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { addressBook } from '../../src/bus/addressing.ts'
import { type Outcome, runAttempt } from '../../src/bus/attempt.ts'
import type { AttemptSubject, AttemptTools } from '../../src/bus/context.ts'
import { Door } from '../../src/bus/door.ts'
import { PartitionState } from '../../src/bus/partition-state.ts'
import { RunningAttempts } from '../../src/bus/running-attempts.ts'
import { StopRegistry } from '../../src/bus/stop-registry.ts'
import type { Event } from '../../src/core/event.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import type { Claim } from '../../src/log/port.ts'

const Happened = event('happened', { schema: z.number() })
const happened: Event = { specversion: '1.0', id: '1', source: 't', type: 'happened', time: '', data: 1 }
const runtime = realRuntime()

function subjectOf(run: (signal: AbortSignal) => Promise<void> | void): AttemptSubject {
  const definition = on(Happened, { name: 'handle' }, (_event, { signal }) => run(signal))
  const place = { topic: 't', partition: 0, offset: 0, key: 'k' }
  return { definition, event: happened, ...place, attempt: 1, silent: false, redriven: false }
}

function tools(stop: StopRegistry): AttemptTools {
  const claim = { partition: 0 } as Claim
  const state = new PartitionState(claim, {
    parts: () => ({ puts: [], needs: {} }),
    committed() {},
    failed() {},
  })
  const door = new Door({ runtime, partitions: 1, source: 't', topic: 't' })
  const ensureTopic = () => Promise.resolve()
  const rest = { addressOf: addressBook([]), hopLimit: 64, cells: [], stop, ensureTopic }
  return { state, runtime, logger: silentLogger, door, ...rest }
}

/** How an attempt ends that has to wait. */
function ended(subject: AttemptSubject, stop: StopRegistry): Promise<Outcome> {
  return new Promise((resolve) => {
    const running = new RunningAttempts<AttemptSubject, Outcome>({
      runtime,
      stop,
      timeoutMs: 1_000,
      complete: (_subject, outcome) => resolve(outcome),
      completed() {},
    })
    expect(runAttempt(subject, tools(stop), running)).toBeUndefined()
  })
}

test('an attempt that has ended is left alone when its partition stops later', async () => {
  const stop = new StopRegistry()
  const signals: AbortSignal[] = []
  const run = (handle: () => Promise<void>) => {
    const subject = subjectOf((signal) => {
      signals.push(signal)
      return handle()
    })
    return ended(subject, stop)
  }
  const succeeded = await run(() => Promise.resolve())
  const failed = await run(() => Promise.reject(new Error('not now')))
  expect([succeeded.kind, failed.kind]).toEqual(['succeeded', 'failed'])
  stop.stop(new Error('the claim is lost'))
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false])
})

test('an attempt ends when its partition stops, and its own signal aborts with the same reason', async () => {
  const stop = new StopRegistry()
  const reason = new Error('the claim is lost')
  const seen: unknown[] = []
  const handle = (signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => {
        seen.push(signal.reason)
        resolve()
      })
      stop.stop(reason)
    })
  const outcome = await ended(subjectOf(handle), stop)
  expect(outcome).toEqual({ kind: 'aborted' })
  expect(seen).toEqual([reason])
})

test('an attempt whose handler waits for nothing ends at once, and so does its context', () => {
  const attempt = (run: () => void) => {
    const stop = new StopRegistry()
    const running = new RunningAttempts<AttemptSubject, Outcome>({
      runtime,
      stop,
      timeoutMs: 1_000,
      complete() {},
      completed() {},
    })
    return runAttempt(subjectOf(run), tools(stop), running)
  }
  const error = new Error('not now')
  expect(attempt(() => {})).toMatchObject({
    kind: 'succeeded',
    effects: { puts: [], deletes: [], appends: [] },
  })
  expect(
    attempt(() => {
      throw error
    }),
  ).toEqual({ kind: 'failed', error })
})
