import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { bench, Counted, publish, statusOf, upTo } from './support.ts'

describe('a handler that is down', () => {
  it('is paused when half of its last hundred first attempts failed, and goes on when it works, with nothing lost', async () => {
    const b = bench()
    let down = true
    const handled = new Set<string>()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 100 } }, ({ data }) => {
      if (down) throw new Error('down')
      handled.add(data.key)
    })
    const process = await b.start({ handlers: [handler] })
    for (const n of upTo(2_000)) await publish(process, `k${n}`, n)
    await b.until(async () => (await statusOf(process)).paused)
    const { attempts } = (await statusOf(process)).counts
    await b.pass(600_000, 1_000)
    expect((await statusOf(process)).counts.attempts - attempts).toBeLessThan(20)
    expect((await statusOf(process)).paused).toBe(true)
    down = false
    await b.settle(process)
    expect((await statusOf(process)).paused).toBe(false)
    expect(handled.size).toBe(2_000)
    expect(await b.deadLetters()).toEqual([])
  })

  it('probes one attempt at a time, with pauses that double up to a minute', async () => {
    const b = bench()
    const at: number[] = []
    const handler = on(Counted, { name: 'handler', concurrency: 1, retry: { attempts: 1_000 } }, () => {
      at.push(b.runtime.now())
      throw new Error('down')
    })
    const process = await b.start({ handlers: [handler] })
    for (const n of upTo(150)) await publish(process, `k${n}`, n)
    await b.until(async () => (await statusOf(process)).paused)
    const begun = at.length
    await b.pass(300_000, 100)
    const waits = at.slice(begun).map((time, index) => time - (at[begun + index - 1] ?? 0))
    for (const [index, wait] of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000].entries()) {
      expect(waits[index]).toBeGreaterThanOrEqual(wait)
      expect(waits[index]).toBeLessThan(wait + 500)
    }
  })

  it('is not paused while less than half of its first attempts fail', async () => {
    const b = bench()
    let handled = 0
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2 } }, ({ data }) => {
      if (data.n % 5 < 2) throw new Error('every second and third')
      handled += 1
    })
    const process = await b.start({ handlers: [handler] })
    let paused = false
    for (const n of upTo(500)) await publish(process, `k${n}`, n)
    await b.until(async () => {
      paused ||= (await statusOf(process)).paused
      return handled === 300
    })
    await b.settle(process)
    expect(paused).toBe(false)
    expect(await b.deadLetters()).toHaveLength(200)
  })

  it('is not paused by failures that say that trying again cannot help', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {
      throw new TerminalError('bad event')
    })
    const process = await b.start({ handlers: [handler] })
    for (const n of upTo(300)) await publish(process, `k${n}`, n)
    await b.settle(process)
    expect(await b.deadLetters()).toHaveLength(300)
    expect((await statusOf(process)).paused).toBe(false)
  })

  it('probes with the next event that comes, where nothing is left to be tried again', async () => {
    const b = bench()
    let down = true
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, ({ data }) => {
      if (down) throw new Error('down')
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    for (const n of upTo(100)) await publish(process, `k${n}`, n)
    await b.quiet()
    expect(await statusOf(process)).toMatchObject({ paused: true, waiting: 0 })
    down = false
    await publish(process, 'later', 101, 103)
    await b.settle(process)
    expect(handled).toEqual([101, 102, 103])
  })
})
