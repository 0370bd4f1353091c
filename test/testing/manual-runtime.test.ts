import { describe, expect, it } from 'vitest'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'

describe('the manual runtime', () => {
  it('wakes sleepers in the order of their times, and only when time passes', async () => {
    const runtime = new ManualRuntime({ nowMs: 1000 })
    const woken: number[] = []
    const sleeps = [30, 10, 20, 99].map((durationMs) =>
      runtime.sleep(durationMs).then(() => woken.push(durationMs)),
    )
    runtime.advance(30)
    await Promise.all(sleeps.slice(0, 3))
    expect(woken).toEqual([10, 20, 30])
    expect(runtime.now()).toBe(1030)
    expect(runtime.sleeping).toBe(1)
  })

  it('sleeps take as long as before when the clock is set', async () => {
    const runtime = new ManualRuntime()
    const sleep = runtime.sleep(10)
    runtime.set(0)
    runtime.set(1_000_000)
    expect(runtime.sleeping).toBe(1)
    runtime.advance(10)
    await sleep
    expect(runtime.now()).toBe(1_000_010)
  })

  it('a sleep ends with the reason of its signal', async () => {
    const runtime = new ManualRuntime()
    const controller = new AbortController()
    const sleep = runtime.sleep(10, controller.signal)
    controller.abort(new Error('enough'))
    await expect(sleep).rejects.toThrow('enough')
    await expect(runtime.sleep(10, controller.signal)).rejects.toThrow('enough')
    expect(runtime.sleeping).toBe(0)
  })

  it('chance and ids are the same in every run of one seed', () => {
    const draw = (seed: number) => {
      const runtime = new ManualRuntime({ seed })
      return [runtime.random(), runtime.id(), runtime.id(), runtime.random()]
    }
    expect(draw(7)).toEqual(draw(7))
    expect(draw(7)).not.toEqual(draw(8))
  })

  it('keeps what background tasks reject with', async () => {
    const runtime = new ManualRuntime()
    const failure = new Error('defect')
    runtime.spawn('task', () => Promise.reject(failure))
    await expect.poll(() => runtime.failures).toEqual([failure])
  })
})
