import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { Aside, bench, Counted, Echoed, gate, publish, upTo } from './support.ts'

const resident = () => on(Counted, { name: 'resident', from: 'start' }, () => {})

describe('where a new subscription begins', () => {
  it('must be said on a topic that has records', async () => {
    const b = bench()
    const first = await b.start({ handlers: [resident()] })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    const handler = on(Counted, { name: 'handler' }, () => {})
    await expect(b.start({ handlers: [resident(), handler] })).rejects.toMatchObject({
      code: 'FROM_REQUIRED',
      where: "handler 'handler'",
    })
    await expect(b.start({ handlers: [resident()] })).resolves.toBeDefined()
  })

  it('need not be said on an empty topic, nor again for a known one', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    for (const n of [1, 2, 3]) {
      const process = await b.start({ handlers: [handler] })
      await publish(process, 'a', n)
      await b.settle(process)
      await b.stop(process)
    }
    expect(handled).toEqual([1, 2, 3])
  })

  it("is the first record with 'start', the next one with 'now', and a time with a Date", async () => {
    const b = bench()
    const first = await b.start({ handlers: [resident()], partitions: 4 })
    for (const n of upTo(9)) {
      await publish(first, `k${n}`, n)
      await b.pass(1_000, 1_000)
    }
    const date = new Date(b.runtime.now() - 3_500)
    await b.stop(first)
    const seen: Record<string, number[]> = { start: [], now: [], date: [] }
    const froms = { start: 'start', now: 'now', date } as const
    const handlers = Object.entries(froms).map(([name, from]) =>
      on(Counted, { name, from }, ({ data }) => seen[name]?.push(data.n)),
    )
    const second = await b.start({ handlers: [resident(), ...handlers] })
    await publish(second, 'k10', 10)
    await b.settle(second)
    const sorted = (name: string) => seen[name]?.sort((left, right) => left - right)
    expect(sorted('start')).toEqual(upTo(10))
    expect(sorted('date')).toEqual([7, 8, 9, 10])
    expect(sorted('now')).toEqual([10])
  })

  it('is decided once: another `from` does not move a subscription that is known', async () => {
    const b = bench()
    const handled: number[] = []
    const from = (where: 'start' | 'now') =>
      on(Counted, { name: 'handler', from: where }, ({ data }) => handled.push(data.n))
    const first = await b.start({ handlers: [resident(), from('now')] })
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.stop(first)
    const second = await b.start({ handlers: [resident(), from('start')] })
    await b.settle(second)
    expect(handled).toEqual([1, 2, 3])
  })
})

describe('a silent catch-up', () => {
  it('mutes emits and once up to the end at creation, also over a restart, and is live from the next record on', async () => {
    const b = bench()
    const first = await b.start({ handlers: [resident()] })
    await publish(first, 'a', 1, 4)
    await b.settle(first)
    await b.stop(first)
    const seen: string[] = []
    const half = gate()
    const runs: number[] = []
    const handler = on(
      Counted,
      { name: 'handler', from: 'start', catchUp: 'silent', state: { last: Counted.schema } },
      async ({ data }, ctx) => {
        if (data.n === 3) await half.opened
        ctx.state.last.set(data)
        ctx.emit(Echoed, data)
        ctx.emit(Echoed, { ...data, n: data.n + 100 }, { delay: 10 })
        const value = await ctx.once(
          'label',
          () => {
            runs.push(data.n)
            return 'ran'
          },
          { whenSilent: 'silent' },
        )
        seen.push(`${data.n} ${value} ${ctx.silent}`)
      },
    )
    const second = await b.start({ handlers: [resident(), handler] })
    await publish(second, 'a', 5)
    await b.until(() => seen.length === 2)
    await b.stop(second, { now: true })
    half.open()
    const third = await b.start({ handlers: [resident(), handler] })
    await publish(third, 'a', 6)
    await b.settle(third)
    await b.pass(1_000)
    expect(seen).toEqual([
      '1 silent true',
      '2 silent true',
      '3 silent true',
      '4 silent true',
      '5 ran false',
      '6 ran false',
    ])
    expect(runs).toEqual([5, 6])
    expect((await b.numbers(Echoed)).toSorted((left, right) => left - right)).toEqual([5, 6, 105, 106])
    expect(await third.read(handler, 'a')).toEqual({ last: { key: 'a', n: 6 } })
  })
})

describe('a handler that vanished', () => {
  it('with work pending is HANDLER_VANISHED, until it is back or forgotten', async () => {
    const b = bench()
    let broken = true
    const handled: number[] = []
    const handler = on(
      Counted,
      { name: 'handler', whenExhausted: 'park', retry: { attempts: 1 } },
      ({ data }) => {
        if (broken) throw new Error('never')
        handled.push(data.n)
      },
    )
    const first = await b.start({ handlers: [resident(), handler] })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    await expect(b.start({ handlers: [resident()] })).rejects.toMatchObject({
      code: 'HANDLER_VANISHED',
      facts: { handler: 'handler' },
    })
    broken = false
    const back = await b.start({ handlers: [resident(), handler] })
    await b.redrive({ key: 'a' })
    await b.settle(back)
    expect(handled).toEqual([1])
    await b.stop(back)
    await b.stop(await b.start({ handlers: [resident()] }))
  })

  it('with unread records is HANDLER_VANISHED, and forgetting it drops what it kept', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, async () => {
      await gate().opened
    })
    const first = await b.start({ handlers: [resident(), handler] })
    await publish(first, 'a', 1, 300)
    await b.until(() => b.state('parked/').size === 1)
    await b.stop(first, { now: true })
    await expect(b.start({ handlers: [resident()] })).rejects.toMatchObject({ code: 'HANDLER_VANISHED' })
    const second = await b.start({ handlers: [resident()], options: { forget: ['handler'] } })
    await b.settle(second)
    await b.stop(second)
    expect(b.state('parked/').size).toBe(0)
    expect([...b.state('subscription/handler/').keys()]).toEqual([])
    expect([...b.state('dead-letter/handler/').keys()]).toEqual([])
    await b.stop(await b.start({ handlers: [resident()] }))
  })

  it('from one of its topics, with records unread there, is HANDLER_VANISHED too', async () => {
    const b = bench()
    const shut = gate()
    const both = on([Counted, Aside], { name: 'handler' }, () => shut.opened)
    const first = await b.start({ handlers: [both] })
    await first.publish(Aside, { key: 'a', n: 1 })
    await b.until(async () => (await first.status())[0]?.inFlight === 1)
    await b.stop(first, { now: true })
    const one = on(Counted, { name: 'handler' }, () => {})
    await expect(b.start({ handlers: [one] })).rejects.toMatchObject({
      code: 'HANDLER_VANISHED',
      facts: { handler: 'handler', topic: 'aside' },
    })
    await b.stop(await b.start({ handlers: [one], options: { forget: ['handler'] } }))
  })

  it('without pending work may go', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {})
    const first = await b.start({ handlers: [resident(), handler] })
    await publish(first, 'a', 1, 10)
    await b.settle(first)
    await b.stop(first)
    await b.stop(await b.start({ handlers: [resident()] }))
  })
})
