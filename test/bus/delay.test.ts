import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, Echoed, publish, upTo } from './support.ts'

const second = 1_000
const minute = 60 * second

describe('a delayed event', () => {
  it('that is published comes when it is due, never before, once', async () => {
    const b = bench()
    const at: number[] = []
    const handler = on(Counted, { name: 'handler' }, () => at.push(b.runtime.now()))
    const process = await b.start({ handlers: [handler] })
    const begun = b.runtime.now()
    await process.publish(Counted, { key: 'a', n: 1 }, { delay: 90 * second })
    await process.publish(Counted, { key: 'a', n: 2 }, { at: new Date(begun + 30 * second) })
    await process.publish(Counted, { key: 'a', n: 3 }, { at: new Date(begun - minute) })
    await b.pass(10 * minute, 500)
    const [early = 0, middle = 0, late = 0, ...more] = at.map((time) => time - begun)
    expect(more).toEqual([])
    expect(early).toBeLessThan(5 * second)
    expect(middle).toBeGreaterThanOrEqual(30 * second)
    expect(middle).toBeLessThan(35 * second)
    expect(late).toBeGreaterThanOrEqual(90 * second)
    expect(late).toBeLessThan(95 * second)
    expect(await b.numbers(Counted)).toEqual([3, 2, 1])
  })

  it('that is emitted comes when it is due, never before, once, with the attributes of its cause', async () => {
    const b = bench()
    const heard: (readonly [number, string | undefined, number | undefined])[] = []
    const echo = on(Counted, { name: 'echo' }, ({ data }, ctx) => {
      ctx.emit(Echoed, data, { delay: data.n * minute })
    })
    const hear = on(Echoed, { name: 'hear' }, ({ causationid, hops }) =>
      heard.push([b.runtime.now(), causationid, hops]),
    )
    const process = await b.start({ handlers: [echo, hear] })
    const begun = b.runtime.now()
    const { id } = await process.publish(Counted, { key: 'a', n: 2 })
    await b.pass(2 * minute - second, 500)
    expect(heard).toEqual([])
    await b.pass(10 * minute, 500)
    expect(heard).toHaveLength(1)
    expect(heard[0]?.slice(1)).toEqual([id, 1])
    expect((heard[0]?.[0] ?? 0) - begun).toBeGreaterThanOrEqual(2 * minute)
  })

  it('survives a restart, and comes at once when it was due meanwhile', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const first = await b.start({ handlers: [handler], partitions: 4 })
    for (const n of upTo(20)) await first.publish(Counted, { key: `k${n}`, n }, { delay: n * minute })
    await b.pass(5 * minute + second, 500)
    await b.stop(first)
    expect(handled).toEqual(upTo(5))
    await b.pass(5 * minute, minute)
    expect(handled).toEqual(upTo(5))
    await b.start({ handlers: [handler] })
    await b.pass(5 * second, 100)
    expect([...handled].sort((left, right) => left - right)).toEqual(upTo(10))
    await b.pass(30 * minute, second)
    expect([...handled].sort((left, right) => left - right)).toEqual(upTo(20))
    expect(await b.numbers(Counted)).toHaveLength(20)
  })

  it('that was published just before a stop is not lost', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const first = await b.start({ handlers: [handler] })
    await first.publish(Counted, { key: 'a', n: 1 }, { delay: minute })
    await b.stop(first, { now: true })
    await b.start({ handlers: [handler] })
    await b.pass(2 * minute, 500)
    expect(handled).toEqual([1])
  })

  it('comes within a minute when the clock jumps past its time, and not twice when it jumps back', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    const begun = b.runtime.now()
    await process.publish(Counted, { key: 'a', n: 1 }, { delay: 24 * 60 * minute })
    await b.pass(second)
    b.runtime.set(begun + 48 * 60 * minute)
    await b.pass(minute, 500)
    expect(handled).toEqual([1])
    b.runtime.set(begun)
    await b.pass(10 * minute, 500)
    expect(handled).toEqual([1])
  })

  it('with a repeated id comes once', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x', delay: minute })
    await b.pass(second)
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x', delay: minute })
    await b.pass(5 * minute, 500)
    expect(handled).toEqual([1])
  })

  it('is another one when its id is the same but its source is not', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    const at = new Date(b.runtime.now() + minute)
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x', source: 'one', at })
    await process.publish(Counted, { key: 'a', n: 2 }, { id: 'x', source: 'two', at })
    await b.pass(2 * minute, 500)
    expect(handled).toEqual([1, 2])
  })

  it('may have an id of any length', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x'.repeat(3_000), delay: second })
    await b.pass(minute, 500)
    expect(handled).toEqual([1])
  })

  it('is refused when its time is none, and the timers of others go on', async () => {
    const b = bench()
    const handled: number[] = []
    const echo = on(Counted, { name: 'echo', retry: { attempts: 1 } }, ({ data }, ctx) => {
      ctx.emit(Echoed, data, { delay: [Number.NaN, -1, second][data.n - 1] ?? 0 })
    })
    const hear = on(Echoed, { name: 'hear' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [echo, hear] })
    await expect(process.publish(Counted, { key: 'a', n: 0 }, { at: new Date(Number.NaN) })).rejects.toThrow(
      TypeError,
    )
    await expect(
      process.publish(Counted, { key: 'a', n: 0 }, { delay: Number.POSITIVE_INFINITY }),
    ).rejects.toThrow(TypeError)
    await expect(process.publish(Counted, { key: 'a', n: 0 }, { delay: -1 })).rejects.toThrow(/at least 0/)
    await publish(process, 'a', 1, 3)
    await b.pass(minute, 500)
    expect(handled).toEqual([3])
    expect(await b.deadLetters()).toMatchObject([
      { error: { name: 'TypeError' } },
      { error: { name: 'TypeError' } },
    ])
  })

  it('comes with hundreds of others that are due at once, every one of them once', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    await Promise.all(
      upTo(1_000).map((n) => process.publish(Counted, { key: `k${n % 7}`, n }, { delay: minute })),
    )
    await b.pass(2 * minute, 500)
    expect([...handled].sort((left, right) => left - right)).toEqual(upTo(1_000))
  })
})
