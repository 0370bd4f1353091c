import { describe, expect, it } from 'vitest'
import type { CursorDocument } from '../../src/bus/cursor-tracker.ts'
import { on } from '../../src/bus/definitions.ts'
import { keepRetention } from '../../src/bus/retention.ts'
import { silentLogger } from '../../src/core/runtime.ts'
import { MemoryLog, openMemory } from '../../src/engines/memory/index.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { turn } from '../../src/testing/turn.ts'
import { type Bench, bench, Counted, Echoed, gate, publish, shop, upTo } from './support.ts'

const second = 1_000
const minute = 60 * second
const topics = { [shop]: { retention: { maxAgeMs: minute } } }

async function startOf(b: Bench): Promise<number> {
  const engine = openMemory({ runtime: b.runtime, log: b.log })
  return (await engine.bounds({ topic: shop, partition: 0 })).start
}

describe('retention', () => {
  it('drops what is old and handled', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {})
    const process = await b.start({ handlers: [handler], topics })
    await publish(process, 'a', 1, 5)
    await b.settle(process)
    await b.pass(5 * minute, second)
    await b.stop(process)
    await b.start({ handlers: [handler], topics })
    await b.pass(2 * minute, second)
    expect(await startOf(b)).toBe(5)
  })

  it('follows few events too, without a restart', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {})
    const process = await b.start({ handlers: [handler], topics })
    for (const n of upTo(6)) {
      await publish(process, 'a', n)
      await b.settle(process)
      await b.pass(2 * minute, second)
    }
    expect(await startOf(b)).toBeGreaterThanOrEqual(4)
  })

  it('is not held up by a handler that has finished and is gone', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {})
    const first = await b.start({ handlers: [handler], topics })
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.stop(first)
    const second = await b.start({ topics })
    await publish(second, 'a', 4, 6)
    await b.pass(3 * minute)
    await b.stop(second)
    await b.start({ topics })
    await b.pass(3 * minute)
    expect(await startOf(b)).toBe(6)
  })

  it('never passes the slowest cursor', async () => {
    const b = bench()
    const hung = gate()
    const handled: number[] = []
    const fast = on(Counted, { name: 'fast' }, () => {})
    const slow = on(Counted, { name: 'slow', timeoutMs: 60 * minute }, async ({ data }, ctx) => {
      if (data.n === 3) await hung.opened
      if (!ctx.signal.aborted) handled.push(data.n)
    })
    const first = await b.start({ handlers: [fast, slow], topics })
    await publish(first, 'a', 1, 9)
    await b.pass(10 * minute, second)
    await b.stop(first, { now: true })
    const process = await b.start({ handlers: [fast, slow], topics })
    await b.pass(10 * minute, second)
    expect(await startOf(b)).toBe(2)
    hung.open()
    await b.settle(process)
    expect(handled).toEqual(upTo(9))
  })

  it('never passes the place that is kept of a handler that wants nothing of what there is', async () => {
    const b = bench()
    const counts = on(Counted, { name: 'counts' }, () => {})
    const echoes = on(Echoed, { name: 'echoes' }, () => {})
    const process = await b.start({ handlers: [counts, echoes], topics })
    for (const n of upTo(6)) {
      await publish(process, 'a', n)
      await b.settle(process)
      await b.pass(2 * minute, second)
    }
    expect(await startOf(b)).toBeGreaterThanOrEqual(4)
    const { cursor } = b.state('subscription/echoes/').get(`subscription/echoes/${shop}`) as CursorDocument
    expect(cursor).toBeGreaterThanOrEqual(await startOf(b))
  })

  it('never passes a parked key', async () => {
    const b = bench()
    let broken = true
    const handled: string[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1_000 } }, ({ data }) => {
      if (broken && data.key === 'bad') throw new Error('not yet')
      handled.push(`${data.key}${data.n}`)
    })
    const first = await b.start({ handlers: [handler], topics })
    await publish(first, 'good', 1, 4)
    await publish(first, 'bad', 1, 3)
    await publish(first, 'good', 5, 9)
    await b.pass(5 * minute, second)
    await b.stop(first)
    const process = await b.start({ handlers: [handler], topics })
    await b.pass(5 * minute, second)
    expect(await startOf(b)).toBe(4)
    broken = false
    await b.settle(process)
    expect(handled.filter((name) => name.startsWith('bad'))).toEqual(['bad1', 'bad2', 'bad3'])
  })

  it('may drop what is in the dead letters: handing that back then changes nothing', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, ({ data }) => {
      if (data.n === 1) throw new Error('never')
      handled.push(data.n)
    })
    const first = await b.start({ handlers: [handler], topics })
    await publish(first, 'a', 1, 3)
    await b.pass(5 * minute, second)
    await b.stop(first)
    const process = await b.start({ handlers: [handler], topics })
    await b.pass(5 * minute, second)
    expect(await startOf(b)).toBe(3)
    await b.redrive({ key: 'a', offset: 0 })
    await publish(process, 'a', 4)
    await b.settle(process)
    expect(handled).toEqual([2, 3, 4])
    expect(b.state('parked/').size).toBe(0)
  })
})

describe('internal records', () => {
  it('of delayed events go a day after they are done', async () => {
    const b = bench()
    const day = 24 * 60 * minute
    const process = await b.start()
    for (const n of upTo(3)) await process.publish(Counted, { key: 'a', n }, { delay: second })
    await b.pass(minute, second)
    await b.pass(day, minute)
    await process.publish(Counted, { key: 'a', n: 4 }, { delay: second })
    await b.pass(minute, second)
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    const { start } = await engine.bounds({ topic: `millrace.${shop}.delayed`, partition: 0 })
    expect(start).toBe(3)
  })
})

describe('how often retention is looked after', () => {
  it('follows how much there is to trim, once a second at the most, and once a minute again', async () => {
    const runtime = new ManualRuntime()
    const engine = openMemory({ runtime, log: new MemoryLog(), partitions: 1 })
    const at = { topic: shop, partition: 0 }
    await engine.createTopic(shop, { retention: { maxAgeMs: 10 } })
    const controller = new AbortController()
    const kept = keepRetention(engine, {
      runtime,
      logger: silentLogger,
      signal: controller.signal,
      mayTrim: () => true,
    })
    const append = async (count: number) => {
      const value = new TextEncoder().encode('{}')
      const entries = Array.from({ length: count }, () => ({ ...at, value, timeMs: runtime.now() }))
      await engine.append(entries)
    }
    const startAfter = async (durationMs: number) => {
      runtime.advance(durationMs)
      await turn()
      return (await engine.bounds(at)).start
    }
    await append(200_000)
    expect(await startAfter(minute - 1)).toBe(0)
    expect(await startAfter(1)).toBe(200_000)
    // A quarter of that is to be trimmed at once, so in a quarter of a minute.
    await append(10)
    expect(await startAfter(15 * second - 1)).toBe(200_000)
    expect(await startAfter(1)).toBe(200_010)
    // Little has come since: each time twice as long, until it is a minute again.
    await append(10)
    expect(await startAfter(30 * second - 1)).toBe(200_010)
    expect(await startAfter(1)).toBe(200_020)
    await append(10)
    expect(await startAfter(minute - 1)).toBe(200_020)
    expect(await startAfter(1)).toBe(200_030)
    controller.abort()
    await kept
    await engine.close()
  })
})
