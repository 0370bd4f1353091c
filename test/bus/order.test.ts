import { describe, expect, it } from 'vitest'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { Aside, bench, Counted, Echoed, gate, publish, shop, statusOf, upTo } from './support.ts'

/** 20,000 events of 500 keys: more than two windows. */
async function publishMany(process: RunningApp): Promise<void> {
  for (let n = 0; n < 20_000; n += 500) {
    await Promise.all(upTo(500).map((m) => process.publish(Counted, { key: `k${m}`, n: n + m })))
  }
}

describe('order of a key', () => {
  it('handles the events of a key one at a time, in log order', async () => {
    const b = bench()
    const handled: string[] = []
    let running = 0
    const handler = on(Counted, { name: 'handler' }, async ({ data }) => {
      running += 1
      expect(running).toBe(1)
      await b.runtime.sleep((data.n * 7) % 5)
      running -= 1
      handled.push(`${data.key}${data.n}`)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 50)
    await b.settle(process)
    expect(handled).toEqual(upTo(50).map((n) => `a${n}`))
  })

  it('keeps the order of a key in what is emitted for it', async () => {
    const b = bench()
    const echo = on(Counted, { name: 'echo' }, async ({ data }, ctx) => {
      await b.runtime.sleep((data.n * 3) % 7)
      ctx.emit(Echoed, data)
    })
    const heard: number[] = []
    const hear = on(Echoed, { name: 'hear' }, ({ data }) => heard.push(data.n))
    const process = await b.start({ handlers: [echo, hear] })
    await publish(process, 'a', 1, 30)
    await b.settle(process)
    expect(heard).toEqual(upTo(30))
  })

  it('goes on behind the last handled event of a key after a restart', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1, 10)
    await b.settle(first)
    await publish(first, 'a', 11, 20)
    await b.stop(first)
    const second = await b.start({ handlers: [handler] })
    await publish(second, 'a', 21, 30)
    await b.settle(second)
    expect(handled).toEqual(upTo(30))
  })

  it('never runs the handlers of two topics for one key at once', async () => {
    const b = bench()
    let running = 0
    let handled = 0
    const handler = on([Counted, Aside], { name: 'handler' }, async () => {
      running += 1
      expect(running).toBe(1)
      await b.runtime.sleep(3)
      running -= 1
      handled += 1
    })
    const process = await b.start({ handlers: [handler] })
    await Promise.all(upTo(20).map((n) => process.publish(n % 2 === 0 ? Counted : Aside, { key: 'a', n })))
    await b.settle(process)
    expect(handled).toBe(20)
    expect((await statusOf(process)).counts.failures).toBe(0)
  })
})

describe('keys beside one another', () => {
  it('handles 20,000 events of other keys behind one that hangs, and parks the one', async () => {
    const b = bench()
    const hung = gate()
    let handled = 0
    const slow: number[] = []
    const handler = on(Counted, { name: 'handler', timeoutMs: 3_600_000 }, async ({ data }) => {
      if (data.key !== 'slow') handled += 1
      else {
        if (data.n === 1) await hung.opened
        slow.push(data.n)
      }
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'slow', 1, 3)
    await publishMany(process)
    await b.until(() => handled === 20_000, { stepMs: 1 })
    expect(b.state(`parked/handler/${shop}/`).get(`parked/handler/${shop}/slow`)).toMatchObject({
      first: 0,
      last: 2,
      count: 3,
    })
    hung.open()
    await b.settle(process)
    expect(slow).toEqual([1, 2, 3])
    expect(b.state('parked/').size).toBe(0)
  })

  it('handles other keys behind one whose timed-out attempt never ends and that has no attempt left', async () => {
    const b = bench()
    let handled = 0
    const handler = on(
      Counted,
      { name: 'handler', timeoutMs: 1_000, retry: { attempts: 1 } },
      async ({ data }) => {
        if (data.key === 'stuck') await gate().opened
        else handled += 1
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'stuck', 1, 3)
    await b.until(async () => (await statusOf(process)).counts.deadLettered === 1)
    await publishMany(process)
    await b.until(() => handled === 20_000, { stepMs: 1 })
  })

  it('handles other keys behind one that waits for its attempt in another topic', async () => {
    const b = bench()
    let handled = 0
    const handler = on([Counted, Aside], { name: 'handler', timeoutMs: 3_600_000 }, async ({ type }) => {
      if (type === Aside.type) await gate().opened
      else handled += 1
    })
    const process = await b.start({ handlers: [handler] })
    await process.publish(Aside, { key: 'slow', n: 0 })
    await b.quiet()
    await publish(process, 'slow', 1)
    await publishMany(process)
    await b.until(() => handled === 20_000, { stepMs: 1 })
  })

  it('handles other keys behind one that hangs with more waiting than the window has bytes', async () => {
    const b = bench()
    let handled = 0
    const handler = on(Counted, { name: 'handler', timeoutMs: 3_600_000 }, async ({ data }) => {
      if (data.key.startsWith('slow')) await gate().opened
      else handled += 1
    })
    const process = await b.start({ handlers: [handler], maxEventBytes: 4_000_000 })
    const subject = 'x'.repeat(1_000_000)
    for (const n of upTo(20)) await process.publish(Counted, { key: 'slow', n }, { subject })
    await b.quiet()
    await publish(process, 'other', 1, 5)
    await b.until(() => handled === 5, { steps: 100 })
  })

  it('gives other keys their turn while a key with a long backlog is drained', async () => {
    const b = bench()
    const handled: string[] = []
    const handler = on(Counted, { name: 'handler', concurrency: 1 }, async ({ data }) => {
      await b.runtime.sleep(1)
      handled.push(data.key)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'hot', 1, 600)
    await publish(process, 'other', 1)
    await b.until(() => handled.length >= 100, { stepMs: 1 })
    expect(handled).toContain('other')
    await b.settle(process)
    expect(handled.length).toBe(601)
  })

  it('parks a key with more than 256 events waiting, and keeps its order', async () => {
    const b = bench()
    const hung = gate()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, async ({ data }) => {
      if (data.n === 1) await hung.opened
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 1_000)
    await b.quiet()
    const { parked, waiting } = await statusOf(process)
    expect(parked).toMatchObject({ keys: 1, records: 1_000 })
    expect(waiting).toBe(0)
    hung.open()
    await publish(process, 'a', 1_001, 1_010)
    await b.settle(process)
    expect(handled).toEqual(upTo(1_010))
    expect(b.state('parked/').size).toBe(0)
  })
})
