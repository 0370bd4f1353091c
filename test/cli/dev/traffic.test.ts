import { expect, test } from 'vitest'
import { Traffic } from '../../../src/cli/dev/traffic.ts'
import { turn } from '../../../src/testing/turn.ts'

const never = new AbortController().signal

async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false
  void promise.then(() => {
    settled = true
  })
  await turn()
  return settled
}

test('it is quiet once every request is being answered, though an answer goes on', async () => {
  const traffic = new Traffic()
  expect(await isSettled(traffic.quiet(never))).toBe(true)
  const [a, b] = [{ cut() {} }, { cut() {} }]
  traffic.begin(a)
  traffic.begin(b)
  const quiet = traffic.quiet(never)
  traffic.answered(a)
  expect(await isSettled(quiet)).toBe(false)
  traffic.end(b)
  expect(await isSettled(quiet)).toBe(true)
  expect(await isSettled(traffic.quiet(never))).toBe(true)
})

test('it waits no longer than it is told to', async () => {
  const traffic = new Traffic()
  traffic.begin({ cut() {} })
  const late = new AbortController()
  const quiet = traffic.quiet(late.signal)
  expect(await isSettled(quiet)).toBe(false)
  late.abort()
  expect(await isSettled(quiet)).toBe(true)
  expect(await isSettled(traffic.quiet(never))).toBe(false)
})

test('everything that is not over can be cut off, answered or not', () => {
  const traffic = new Traffic()
  const cut: string[] = []
  const passings = ['answered', 'unanswered', 'over'].map((name) => ({ cut: () => void cut.push(name) }))
  for (const passing of passings) traffic.begin(passing)
  if (passings[0] !== undefined) traffic.answered(passings[0])
  if (passings[2] !== undefined) traffic.end(passings[2])
  traffic.cut()
  expect(cut).toEqual(['answered', 'unanswered'])
})
