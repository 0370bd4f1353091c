import { expect, it } from 'vitest'
import { Wake } from '../../src/bus/wake.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { turn } from '../../src/testing/turn.ts'

/** Whether the promise has settled by now. */
async function hasEnded(promise: Promise<unknown>): Promise<boolean> {
  let ended = false
  const end = () => {
    ended = true
  }
  promise.then(end, end)
  await turn()
  return ended
}

it('lets a wait pass at once when there was news since the last one, and only one of them', async () => {
  const wake = new Wake()
  wake.notify()
  wake.notify()
  expect(await hasEnded(wake.wait())).toBe(true)
  expect(await hasEnded(wake.wait())).toBe(false)
})

it('ends a wait when news come', async () => {
  const wake = new Wake()
  const waiting = wake.wait()
  expect(await hasEnded(waiting)).toBe(false)
  wake.notify()
  expect(await hasEnded(waiting)).toBe(true)
})

it('ends a wait when its time is over, and leaves no timer behind when news come first', async () => {
  const wake = new Wake()
  const runtime = new ManualRuntime()
  const first = wake.waitAtMost(1_000, runtime)
  runtime.advance(999)
  expect(await hasEnded(first)).toBe(false)
  runtime.advance(1)
  expect(await hasEnded(first)).toBe(true)
  const second = wake.waitAtMost(1_000, runtime)
  wake.notify()
  expect(await hasEnded(second)).toBe(true)
  expect(runtime.sleeping).toBe(0)
})
