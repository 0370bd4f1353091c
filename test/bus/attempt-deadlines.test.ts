import { expect, test } from 'vitest'
import { AttemptDeadlines } from '../../src/bus/attempt-deadlines.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { turn } from '../../src/testing/turn.ts'

async function pass(runtime: ManualRuntime, ms: number): Promise<void> {
  runtime.advance(ms)
  await turn()
}

test('an attempt expires when its time is over, and not before', async () => {
  const runtime = new ManualRuntime()
  const deadlines = new AttemptDeadlines(runtime, 1_000)
  const expired: string[] = []
  deadlines.begin(() => expired.push('first'))
  await pass(runtime, 0)
  await pass(runtime, 999)
  deadlines.begin(() => expired.push('second'))
  await pass(runtime, 0)
  expect(expired).toEqual([])
  await pass(runtime, 1)
  expect(expired).toEqual(['first'])
  await pass(runtime, 998)
  expect(expired).toEqual(['first'])
  await pass(runtime, 1)
  expect(expired).toEqual(['first', 'second'])
  expect(runtime.failures).toEqual([])
})

test('of attempts that began together only those that still run expire', async () => {
  const runtime = new ManualRuntime()
  const deadlines = new AttemptDeadlines(runtime, 1_000)
  const expired: string[] = []
  const end = deadlines.begin(() => expired.push('ended'))
  deadlines.begin(() => expired.push('running'))
  await pass(runtime, 0)
  end()
  await pass(runtime, 1_000)
  expect(expired).toEqual(['running'])
})

test('where every attempt has ended nothing is left waiting', async () => {
  const runtime = new ManualRuntime()
  const deadlines = new AttemptDeadlines(runtime, 1_000)
  const quick = deadlines.begin(() => {})
  quick()
  await pass(runtime, 0)
  expect(runtime.sleeping).toBe(0)
  const slower = deadlines.begin(() => {})
  await pass(runtime, 0)
  expect(runtime.sleeping).toBe(1)
  slower()
  await turn()
  expect(runtime.sleeping).toBe(0)
  expect(runtime.failures).toEqual([])
})
