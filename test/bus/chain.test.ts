import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import type { Event } from '../../src/core/event.ts'
import { bench, Counted, Echoed, publish } from './support.ts'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

describe('a chain of events', () => {
  it('passes on correlation, trace and hops, and names the cause of each event', async () => {
    const b = bench()
    const heard: Event[] = []
    const first = on(Counted, { name: 'first' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const second = on(Echoed, { name: 'second' }, (event, ctx) => {
      heard.push(event)
      if (heard.length === 1) ctx.emit(Echoed, event.data)
    })
    const process = await b.start({ handlers: [first, second] })
    const { id } = await process.publish(
      Counted,
      { key: 'a', n: 1 },
      { traceparent, correlationid: 'order-1' },
    )
    await b.settle(process)
    const [one, two] = heard
    expect(one).toMatchObject({ causationid: id, correlationid: 'order-1', traceparent, hops: 1 })
    expect(two).toMatchObject({ causationid: one?.id, correlationid: 'order-1', traceparent, hops: 2 })
  })

  it('is correlated by the id of its first event unless that says otherwise', async () => {
    const b = bench()
    const heard: Event[] = []
    const echo = on(Counted, { name: 'echo' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const hear = on(Echoed, { name: 'hear' }, (event) => heard.push(event))
    const process = await b.start({ handlers: [echo, hear] })
    const { id } = await process.publish(Counted, { key: 'a', n: 1 })
    await b.settle(process)
    expect(heard).toMatchObject([{ correlationid: id }])
  })

  it('that passes through too many handlers is LOOP_SUSPECTED: a dead letter at once', async () => {
    const b = bench()
    const loop = on([Counted, Echoed], { name: 'loop' }, ({ data }, ctx) =>
      ctx.emit(Echoed, { ...data, n: data.n + 1 }),
    )
    const process = await b.start({ handlers: [loop], hopLimit: 5 })
    await publish(process, 'a', 0)
    await b.settle(process)
    expect(await b.numbers(Echoed)).toEqual([1, 2, 3, 4, 5, 6])
    expect(await b.deadLetters()).toMatchObject([
      { error: { code: 'LOOP_SUSPECTED' }, attempts: 1, event: { hops: 6 } },
    ])
  })

  it('that is LOOP_SUSPECTED says which way it went, the last of it where it was long', async () => {
    const b = bench()
    const ping = on(Counted, { name: 'ping' }, ({ data }, ctx) => ctx.emit(Echoed, data))
    const pong = on(Echoed, { name: 'pong' }, ({ data }, ctx) => ctx.emit(Counted, data))
    const process = await b.start({ handlers: [ping, pong], hopLimit: 3 })
    await publish(process, 'a', 0)
    await b.settle(process)
    const path =
      'test.counted > ping > test.echoed > pong > test.counted > ping > test.echoed > pong > test.counted'
    const [letter] = await b.deadLetters()
    expect(letter?.error.message).toBe(`A chain of events passed through more than 3 handlers: ${path}.`)
    await b.stop(process)
    const again = await b.start({ handlers: [ping, pong], hopLimit: 40 })
    await publish(again, 'b', 0)
    await b.settle(again)
    const letters = await b.deadLetters()
    expect(letters).toHaveLength(2)
    for (const { event } of letters) {
      expect((event as Event).millracepath?.split(' > ').length).toBeLessThanOrEqual(34)
    }
  })
})
