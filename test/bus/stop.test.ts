import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, Echoed, gate, publish, shop, statusOf, upTo } from './support.ts'

describe('stopping', () => {
  it('waits for running attempts, commits them, and takes nothing new', async () => {
    const b = bench()
    const running = gate()
    const begun: number[] = []
    const handler = on(Counted, { name: 'handler' }, async ({ data }, ctx) => {
      begun.push(data.n)
      await running.opened
      ctx.emit(Echoed, data)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 3)
    await publish(process, 'b', 4)
    await b.quiet()
    const stopped = b.stop(process)
    await b.quiet()
    expect(process.ready).toBe(false)
    running.open()
    await stopped
    expect(begun).toEqual([1, 4])
    expect((await b.numbers(Echoed)).toSorted()).toEqual([1, 4])
    const next = await b.start({ handlers: [handler] })
    await b.settle(next)
    expect((await b.numbers(Echoed)).toSorted()).toEqual([1, 2, 3, 4])
  })

  it('aborts what still runs at drainMs; that is handled again at the next start, with one effect', async () => {
    const b = bench()
    const aborted: number[] = []
    let hangs = true
    const handler = on(Counted, { name: 'handler' }, async ({ data }, ctx) => {
      ctx.emit(Echoed, data)
      if (!hangs || data.n !== 2) return
      await new Promise<void>((resolve) => ctx.signal.addEventListener('abort', () => resolve()))
      aborted.push(data.n)
    })
    const first = await b.start({ handlers: [handler], options: { drainMs: 5_000 } })
    await publish(first, 'a', 1, 3)
    await b.quiet()
    const before = b.runtime.now()
    await b.stop(first)
    expect(b.runtime.now() - before).toBeGreaterThanOrEqual(5_000)
    expect(b.runtime.now() - before).toBeLessThan(6_000)
    expect(aborted).toEqual([2])
    expect(await b.numbers(Echoed)).toEqual([1])
    hangs = false
    const second = await b.start({ handlers: [handler] })
    await b.settle(second)
    expect(await b.numbers(Echoed)).toEqual([1, 2, 3])
    expect((await statusOf(second)).counts.failures).toBe(0)
  })

  it('does not wait when it is asked a second time with now', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, async () => {
      await gate().opened
    })
    const process = await b.start({ handlers: [handler], options: { drainMs: 3_600_000 } })
    await publish(process, 'a', 1)
    await b.quiet()
    const first = b.stop(process)
    await b.quiet()
    const before = b.runtime.now()
    await Promise.all([first, b.stop(process, { now: true }), b.stop(process)])
    expect(b.runtime.now() - before).toBeLessThan(1_000)
  })

  it('keeps the cursor where the last event was done, so that nothing is handled twice', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    for (const n of upTo(10)) {
      const process = await b.start({ handlers: [handler] })
      await publish(process, `k${n}`, n)
      await b.stop(process)
    }
    await b.settle(await b.start({ handlers: [handler] }))
    expect(handled).toEqual(upTo(10))
  })

  it('lets attempts finish while the next event of a parked key is being looked for', async () => {
    const b = bench()
    const reading = gate()
    const running = gate()
    let isSlow = false
    let looking = 0
    const begun: string[] = []
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 100, baseMs: 1_000 } },
      async ({ data }, ctx) => {
        if (data.key === 'bad') throw new Error('not yet')
        begun.push(data.key)
        await running.opened
        ctx.emit(Echoed, data)
      },
    )
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'bad', 1)
    await b.quiet()
    await b.stop(first)
    const second = await b.start({
      handlers: [handler],
      around: (engine) => {
        const read = engine.read.bind(engine)
        engine.read = async (at, from, limits, signal) => {
          if (!isSlow || at.topic !== shop) return read(at, from, limits, signal)
          looking += 1
          await Promise.race([
            reading.opened,
            new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
          ])
          return read(at, from, limits, signal)
        }
        return engine
      },
    })
    await publish(second, 'good', 2)
    await b.until(() => begun.length === 1, { stepMs: 1 })
    isSlow = true
    await b.until(() => looking > 0)
    const stopped = b.stop(second)
    await b.quiet()
    running.open()
    await stopped
    expect(await b.numbers(Echoed)).toEqual([2])
  })
})
