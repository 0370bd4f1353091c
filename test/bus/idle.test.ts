import { describe, expect, it } from 'vitest'
import { every, on } from '../../src/bus/definitions.ts'
import { bench, Counted, Echoed, publish } from './support.ts'

const minute = 60_000

/** Counts the calls of an engine, by their names. */
function counting() {
  const calls = new Map<string, number>()
  const fault = (name: string) => {
    if (name.endsWith(':apply')) calls.set(name, (calls.get(name) ?? 0) + 1)
    return undefined
  }
  return { calls, fault, reset: () => calls.clear() }
}

describe('an idle process', () => {
  it('sets no timer and calls the engine not once, however long it is idle', async () => {
    const b = bench()
    const counted = counting()
    const handler = on(Counted, { name: 'handler' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const hear = on(Echoed, { name: 'hear', retry: { attempts: 2 } }, () => {
      throw new Error('never')
    })
    const process = await b.start({ handlers: [handler, hear], partitions: 16, fault: counted.fault })
    for (let n = 1; n <= 50; n += 1) await publish(process, `k${n}`, n)
    await b.settle(process)
    await b.quiet()
    counted.reset()
    expect(b.runtime.sleeping).toBe(0)
    await b.pass(60 * minute, 1_000)
    expect(counted.calls).toEqual(new Map())
    expect(b.runtime.sleeping).toBe(0)
    await publish(process, 'a', 100)
    await b.settle(process)
    expect(await b.numbers(Echoed)).toHaveLength(51)
  })

  it('that waits for a time sets one timer, looks at the clock once a minute, and calls the engine not once', async () => {
    const b = bench()
    const counted = counting()
    const daily = every('0 12 * * *', { name: 'daily' }, () => {})
    const handler = on(Counted, { name: 'handler' }, () => {})
    const process = await b.start({ handlers: [daily, handler], partitions: 16, fault: counted.fault })
    await process.publish(Counted, { key: 'daily', n: 1 }, { delay: 24 * 60 * minute })
    await b.settle(process)
    await b.quiet()
    counted.reset()
    let sleeps = 0
    const sleep = b.runtime.sleep.bind(b.runtime)
    b.runtime.sleep = (durationMs, signal) => {
      sleeps += 1
      return sleep(durationMs, signal)
    }
    await b.pass(60 * minute, 1_000)
    expect(b.runtime.sleeping).toBeLessThanOrEqual(2)
    expect(sleeps).toBeLessThanOrEqual(2 * 61)
    expect(counted.calls).toEqual(new Map())
  })

  it('with a key that is held sets no timer', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', whenExhausted: 'park', retry: { attempts: 2 } }, () => {
      throw new Error('never')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 10)
    await b.settle(process)
    await b.quiet()
    expect(b.runtime.sleeping).toBe(0)
  })
})
