import { expect, test } from 'vitest'
import { type RunningAttempt, RunningAttempts } from '../../src/bus/running-attempts.ts'
import { StopRegistry } from '../../src/bus/stop-registry.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { turn } from '../../src/testing/turn.ts'

function bench() {
  const runtime = new ManualRuntime()
  const stop = new StopRegistry()
  /** What happened, in order. */
  const log: string[] = []
  const running = new RunningAttempts<string, string>({
    runtime,
    stop,
    timeoutMs: 1_000,
    complete: (name, outcome) => void log.push(`${name} ${outcome}`),
    completed: () => void log.push('on'),
  })
  const attempt = (name: string): RunningAttempt => ({
    expire: () => void log.push(`${name} expired`),
    abort: (reason) => void log.push(`${name} aborted: ${String(reason)}`),
  })
  const pass = async (ms: number) => {
    runtime.advance(ms)
    await turn()
  }
  return { runtime, stop, log, running, attempt, pass }
}

test('an attempt expires when its time is over, and not before', async () => {
  const { runtime, log, running, attempt, pass } = bench()
  running.begin(attempt('first'))
  await pass(0)
  await pass(999)
  running.begin(attempt('second'))
  await pass(0)
  expect(log).toEqual([])
  await pass(1)
  expect(log).toEqual(['first expired'])
  await pass(998)
  expect(log).toEqual(['first expired'])
  await pass(1)
  expect(log).toEqual(['first expired', 'second expired'])
  expect(runtime.failures).toEqual([])
})

test('of attempts that began together only those that still run expire', async () => {
  const { log, running, attempt, pass } = bench()
  const place = running.begin(attempt('ended'))
  running.begin(attempt('running'))
  await pass(0)
  running.end(place, 'ended', 'succeeded')
  await pass(1_000)
  expect(log).toEqual(['ended succeeded', 'on', 'running expired'])
})

test('where every attempt has ended nothing is left waiting', async () => {
  const { runtime, running, attempt, pass } = bench()
  running.end(running.begin(attempt('quick')), 'quick', 'succeeded')
  await pass(0)
  expect(runtime.sleeping).toBe(0)
  const slower = running.begin(attempt('slower'))
  await pass(0)
  expect(runtime.sleeping).toBe(1)
  running.end(slower, 'slower', 'succeeded')
  await turn()
  expect(runtime.sleeping).toBe(0)
  expect(runtime.failures).toEqual([])
})

test('attempts are completed as they end, and those of one turn are gone on from together', async () => {
  const { log, running, attempt } = bench()
  const [a, b, c] = ['a', 'b', 'c'].map((name) => running.begin(attempt(name)))
  for (const [place, name] of [
    [b, 'b'],
    [a, 'a'],
  ] as const)
    if (place !== undefined) running.end(place, name, 'succeeded')
  await turn()
  if (c !== undefined) running.end(c, 'c', 'failed')
  await turn()
  expect(log).toEqual(['b succeeded', 'a succeeded', 'on', 'c failed', 'on'])
})

test('only those that still run are aborted when their partition stops', async () => {
  const { stop, log, running, attempt, pass } = bench()
  const place = running.begin(attempt('ended'))
  await pass(0)
  running.begin(attempt('later'))
  running.begin(attempt('latest'))
  running.end(place, 'ended', 'succeeded')
  await turn()
  stop.stop('lost')
  expect(log).toEqual(['ended succeeded', 'on', 'later aborted: lost', 'latest aborted: lost'])
})
