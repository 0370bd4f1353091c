import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { adding, type Order, Placed, partitions, perCustomer, place, rekeyed, state } from './per-customer.ts'
import { bench, gate, shop, upTo } from './support.ts'

describe('an event for which a handler has no key', () => {
  const noKey: Record<string, (data: Order) => string> = {
    'a key that throws': () => {
      throw new Error('no such customer')
    },
    'a key that gives no string': () => undefined as never,
    'a key that is too long': () => 'x'.repeat(513),
    'a key that is a promise': () => Promise.reject(new Error('too late')) as never,
  }
  for (const [what, key] of Object.entries(noKey)) {
    it(`is a dead letter with the reason: ${what}`, async () => {
      const b = bench()
      const seen: number[] = []
      const handler = perCustomer(({ data }) => seen.push(data.n), {
        key: (data) => (data.n === 2 ? key(data) : data.customer),
      })
      const process = await b.start({ handlers: [handler], events: [Placed], partitions })
      for (const n of upTo(3)) await b.drive(place(process, n, 'c', 'o'))
      await b.settle(process)
      expect(seen).toEqual([1, 3])
      expect(await b.deadLetters()).toMatchObject([
        {
          handler: 'handler',
          topic: rekeyed,
          key: 'o',
          attempts: 1,
          error: { code: 'TERMINAL', message: expect.stringMatching(/has no key for this handler: ./) },
          event: { type: 'test.placed', data: { n: 2 } },
        },
      ])
      const { letters } = await process.deadLetters.list()
      expect(await process.deadLetters.show(letters[0]?.id ?? '')).toMatchObject({
        event: { data: { n: 2 } },
      })
    })
  }

  it('is not said to be handled when a key is found late, before it is', async () => {
    const b = bench()
    const { opened, open } = gate()
    let asked = 0
    const key = () => {
      asked += 1
      if (asked === 1) throw new Error('not yet')
      return 'c'
    }
    const told: string[] = []
    const handler = perCustomer(() => opened.then(() => told.push('handled')), { key })
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    const data = { orderId: 'o', customer: 'c', n: 1 }
    const published = process.publish(Placed, data, { wait: 'handled' }).then(() => told.push('told'))
    await b.pass(1_000)
    expect({ asked, told }).toEqual({ asked: 2, told: [] })
    open()
    await b.drive(published)
    expect(told).toEqual(['handled', 'told'])
  })

  it('is handled by its key when it is handed back to a handler that finds one', async () => {
    const b = bench()
    const broken = perCustomer(adding, {
      key: () => {
        throw new Error('not yet')
      },
    })
    const first = await b.start({ handlers: [broken], events: [Placed], partitions })
    const failing = first.publish(Placed, { orderId: 'o', customer: 'c', n: 4 }, { wait: 'handled' })
    await expect(b.drive(failing)).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
    await b.stop(first)
    const handler = perCustomer(adding)
    const second = await b.start({ handlers: [handler], events: [Placed], partitions })
    await b.drive(second.deadLetters.redrive({}))
    await b.settle(second)
    expect(await second.read(handler, 'c')).toEqual({ sum: 4 })
    expect((await second.deadLetters.list()).letters).toEqual([])
  })
})

describe('an event of another version, for a handler with a key of its own', () => {
  const renamed = z.object({ orderId: z.string(), buyer: z.string(), n: z.number() })
  const Renamed = event('test.placed', {
    schema: renamed,
    key: ({ orderId }) => orderId,
    version: 2,
    upcast: (data) => {
      const { customer, ...rest } = data as Order
      return { ...rest, buyer: customer }
    },
  })
  const perBuyer = () =>
    on(
      Renamed,
      {
        name: 'handler',
        from: 'start',
        key: ({ buyer }) => buyer,
        state,
        retry: { attempts: 2, baseMs: 10 },
      },
      async ({ data }, ctx) => ctx.state.sum.set((await ctx.state.sum.get()) + data.n),
    )

  it('is upcast before its key is asked for', async () => {
    const b = bench()
    const first = await b.start({ handlers: [], events: [Placed], partitions })
    await b.drive(place(first, 1, 'c'))
    await b.stop(first)
    const handler = perBuyer()
    const second = await b.start({ handlers: [handler], partitions })
    await b.drive(second.publish(Renamed, { orderId: 'o', buyer: 'c', n: 2 }))
    await b.settle(second)
    expect(await second.read(handler, 'c')).toEqual({ sum: 3 })
  })

  it('is a dead letter where it cannot be read, and handled by its key when it is handed back where it can', async () => {
    const b = bench()
    const newer = await b.start({ handlers: [], events: [Renamed], partitions })
    await b.drive(newer.publish(Renamed, { orderId: 'o', buyer: 'c', n: 5 }))
    await b.stop(newer)
    const older = await b.start({ handlers: [perCustomer(adding)], events: [Placed], partitions })
    await b.settle(older)
    expect(await b.deadLetters()).toMatchObject([{ key: 'o', error: { code: 'EVENT_UNREADABLE' } }])
    await b.stop(older)
    const handler = perBuyer()
    const again = await b.start({ handlers: [handler], partitions })
    await b.drive(again.deadLetters.redrive({}))
    await b.settle(again)
    expect(await again.read(handler, 'c')).toEqual({ sum: 5 })
    expect((await again.deadLetters.list()).letters).toEqual([])
  })

  it('goes to the dead letters where it is damaged, and what follows is handed on', async () => {
    const b = bench()
    const handler = perCustomer(adding)
    const process = await b.start({ handlers: [handler], events: [Placed] })
    await b.append(shop, new TextEncoder().encode('{ no event'))
    await b.drive(place(process, 1, 'c'))
    await b.settle(process)
    expect(await b.deadLetters()).toMatchObject([{ handler: 'handler', topic: shop, event: null }])
    expect(await process.read(handler, 'c')).toEqual({ sum: 1 })
  })
})

describe('the dead letters of a handler with a key of its own', () => {
  it('are handed back in order, before what waits of the key', async () => {
    const b = bench()
    const seen: number[] = []
    let broken = true
    const handler = perCustomer(
      ({ data }) => {
        if (broken && data.n <= 2) throw new Error('not yet')
        seen.push(data.n)
      },
      { whenExhausted: 'park' },
    )
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    for (const n of upTo(4)) await b.drive(place(process, n, 'c', 'o'))
    await b.settle(process)
    expect(seen).toEqual([])
    broken = false
    await b.drive(process.deadLetters.redrive({}))
    await b.settle(process)
    expect(seen).toEqual([1, 2, 3, 4])
    expect((await process.deadLetters.list()).letters).toEqual([])
  })

  it('keep what once remembered, under one idempotency key', async () => {
    const b = bench()
    const keys: string[] = []
    let broken = true
    const handler = perCustomer(async (_placed, ctx) => {
      await ctx.once('charge', (key) => keys.push(key))
      if (broken) throw new Error('not yet')
    })
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    await b.drive(place(process, 1, 'c'))
    await b.settle(process)
    broken = false
    await b.drive(process.deadLetters.redrive({}))
    await b.settle(process)
    expect(keys).toHaveLength(1)
    expect((await process.deadLetters.list()).letters).toEqual([])
  })

  it('can be handed back long after, though what is done was trimmed', async () => {
    const b = bench()
    const day = 24 * 60 * 60 * 1000
    let broken = true
    const handler = perCustomer(async (placed, ctx) => {
      if (broken && placed.data.n === 3) throw new Error('not yet')
      await adding(placed, ctx)
    })
    const process = await b.start({ handlers: [handler], events: [Placed] })
    for (const n of upTo(5)) await b.drive(place(process, n, 'c'))
    await b.settle(process)
    for (const n of [6, 7]) {
      await b.pass(2 * day, day)
      await b.drive(place(process, n, 'c'))
      await b.settle(process)
      await b.quiet()
    }
    expect((await b.events(rekeyed)).map(({ data }) => (data as Order).n)[0]).toBe(3)
    broken = false
    await b.drive(process.deadLetters.redrive({}))
    await b.settle(process)
    expect(await process.read(handler, 'c')).toEqual({ sum: 28 })
    await b.pass(2 * day, day)
    await b.drive(place(process, 8, 'c'))
    await b.settle(process)
    await b.quiet()
    expect((await b.events(rekeyed)).map(({ data }) => (data as Order).n)).toEqual([8])
  })
})

describe('a handler with a key of its own that changes', () => {
  it('goes on under a new name with what was handed on to the former', async () => {
    const b = bench()
    const { opened } = gate()
    const before = perCustomer((placed, ctx) => (placed.data.n > 2 ? opened : adding(placed, ctx)), {
      name: 'before',
    })
    const first = await b.start({ handlers: [before], events: [Placed], partitions })
    for (const n of upTo(5)) await b.drive(place(first, n, 'c', 'o'))
    await b.pass(200)
    await b.stop(first, { now: true })
    const after = perCustomer(adding, { name: 'after', renamedFrom: 'before' })
    const second = await b.start({ handlers: [after], events: [Placed], partitions })
    await place(second, 6, 'c')
    await b.settle(second)
    expect(await second.read(after, 'c')).toEqual({ sum: 21 })
  })

  it('must not vanish with work pending, and begins anew once it is forgotten', async () => {
    const b = bench()
    const { opened } = gate()
    const first = await b.start({ handlers: [perCustomer(() => opened)], events: [Placed], partitions })
    for (const n of upTo(3)) await b.drive(place(first, n, `c${n}`))
    await b.pass(200)
    await b.stop(first, { now: true })
    const without = { handlers: [], events: [Placed], partitions }
    await expect(b.start(without)).rejects.toMatchObject({ code: 'HANDLER_VANISHED' })
    const forgetting = await b.start({ ...without, options: { forget: ['handler'] } })
    await b.stop(forgetting)
    await b.stop(await b.start(without))
    const handler = perCustomer(adding)
    const again = await b.start({ handlers: [handler], events: [Placed], partitions })
    await b.settle(again)
    expect(await Promise.all(['c1', 'c2', 'c3'].map((key) => again.read(handler, key)))).toEqual(
      upTo(3).map((sum) => ({ sum })),
    )
  })

  it.each(['handler', 'renamed'])(
    'takes nothing twice when it was gone for a while, and comes back as %s',
    async (name) => {
      const b = bench()
      const first = await b.start({ handlers: [perCustomer(adding)], events: [Placed], partitions })
      await b.drive(place(first, 1, 'c'))
      await b.settle(first)
      await b.stop(first)
      const between = await b.start({ handlers: [], events: [Placed], partitions })
      await b.drive(place(between, 2, 'c'))
      await b.stop(between)
      const seen: number[] = []
      const renamed = name === 'handler' ? {} : { renamedFrom: 'handler' }
      const handler = perCustomer(({ data }) => seen.push(data.n), { name, ...renamed })
      const again = await b.start({ handlers: [handler], events: [Placed], partitions })
      await b.settle(again)
      expect(seen).toEqual([2])
    },
  )

  it('must not get its key, nor lose it, while it holds what it could not find again', async () => {
    const b = bench()
    const failing = () => {
      throw new Error('not yet')
    }
    const held = { name: 'handler', from: 'start', whenExhausted: 'park', retry: { attempts: 1 } } as const
    const plain = on(Placed, held, failing)
    const first = await b.start({ handlers: [plain], events: [Placed] })
    await b.drive(place(first, 1, 'c'))
    await b.settle(first)
    await b.stop(first)
    await expect(b.start({ handlers: [perCustomer(adding)], events: [Placed] })).rejects.toMatchObject({
      code: 'HANDLER_VANISHED',
      message: expect.stringContaining('has a key of its own now'),
    })
    const named = perCustomer(failing, { name: 'named', whenExhausted: 'park', retry: { attempts: 1 } })
    const second = await b.start({ handlers: [plain, named], events: [Placed] })
    await b.settle(second)
    await b.stop(second)
    const lost = on(Placed, { ...held, name: 'named' }, failing)
    await expect(b.start({ handlers: [plain, lost], events: [Placed] })).rejects.toMatchObject({
      code: 'HANDLER_VANISHED',
    })
  })
})
