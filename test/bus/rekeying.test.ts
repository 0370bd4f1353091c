import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { type HandlerContext, type OnOptions, on } from '../../src/bus/definitions.ts'
import { type Event, event } from '../../src/core/event.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import type { Claim, LogEngine } from '../../src/log/port.ts'
import { bench, Echoed, gate, shop, statusOf, upTo } from './support.ts'

const order = z.object({ orderId: z.string(), customer: z.string(), n: z.number() })
type Order = z.infer<typeof order>
const Placed = event('test.placed', { schema: order, key: ({ orderId }) => orderId })
const rekeyed = `millrace.${shop}.rekeyed`
const partitions = 4
const state = { sum: z.int().default(0) }
type Run = (event: Event<Order>, ctx: HandlerContext<typeof state>) => unknown

/** A handler whose order and state are kept by the customer. */
function perCustomer(run: Run, options: Partial<OnOptions<typeof state, Order>> = {}) {
  const key = ({ customer }: Order) => customer
  return on(
    Placed,
    { name: 'handler', from: 'start', key, state, retry: { attempts: 2, baseMs: 10 }, ...options },
    run,
  )
}

function place(running: RunningApp, n: number, customer: string, orderId = `o${n}`) {
  return running.publish(Placed, { orderId, customer, n })
}

async function adding({ data }: Event<Order>, ctx: HandlerContext<typeof state>): Promise<void> {
  ctx.state.sum.set((await ctx.state.sum.get()) + data.n)
}

describe('a handler with a key of its own', () => {
  it('is given every event once, one at a time for each of its keys, with state by that key', async () => {
    const b = bench()
    const running = new Map<string, number>()
    let most = 0
    let handled = 0
    const handler = perCustomer(async (placed, ctx) => {
      const { customer } = placed.data
      running.set(customer, (running.get(customer) ?? 0) + 1)
      most = Math.max(most, running.get(customer) ?? 0)
      await adding(placed, ctx)
      handled += 1
      running.set(customer, (running.get(customer) ?? 0) - 1)
    })
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    await Promise.all(upTo(300).map((n) => place(process, n, `c${n % 3}`)))
    await b.settle(process)
    expect({ handled, most }).toEqual({ handled: 300, most: 1 })
    const sums = await Promise.all(['c0', 'c1', 'c2'].map((key) => process.read(handler, key)))
    expect(sums.map(({ sum }) => sum)).toEqual([15_150, 14_950, 15_050])
  })

  it('keeps the order of its key for what comes from one partition, also through retries', async () => {
    const b = bench()
    const seen: number[] = []
    let fails = 3
    const handler = perCustomer(
      ({ data }) => {
        fails -= 1
        if (fails >= 0 && data.n > 1) throw new Error('not yet')
        seen.push(data.n)
      },
      { retry: { attempts: 9, baseMs: 100 } },
    )
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    for (const n of upTo(50)) await b.drive(place(process, n, 'c', 'o'))
    await b.settle(process)
    expect(seen).toEqual(upTo(50))
  })

  it('sees the event as it was published, and the key of its topic stays that of other handlers', async () => {
    const b = bench()
    const seen: Event<Order>[] = []
    const byOrder: string[] = []
    const plain = on(Placed, { name: 'plain', state }, async (placed, ctx) => {
      await adding(placed, ctx)
      byOrder.push(placed.data.orderId)
    })
    const process = await b.start({
      handlers: [perCustomer((placed) => seen.push(placed)), plain],
      events: [Placed],
      partitions,
    })
    const given = { id: 'i1', source: '/till', time: new Date(5_000), correlationid: 'c1' }
    await b.drive(process.publish(Placed, { orderId: 'o1', customer: 'c', n: 7 }, given))
    await b.settle(process)
    expect(seen).toMatchObject([
      {
        id: 'i1',
        source: '/till',
        time: '1970-01-01T00:00:05.000Z',
        correlationid: 'c1',
        type: 'test.placed',
        partitionkey: 'o1',
        data: { orderId: 'o1', customer: 'c', n: 7 },
      },
    ])
    expect(seen[0]?.hops).toBeUndefined()
    expect(byOrder).toEqual(['o1'])
    expect(await process.read(plain, 'o1')).toEqual({ sum: 7 })
  })

  it('emits as caused by the event, one hop further', async () => {
    const b = bench()
    const handler = perCustomer(({ data }, ctx) => ctx.emit(Echoed, { key: data.customer, n: data.n }))
    const process = await b.start({ handlers: [handler], events: [Placed, Echoed], partitions })
    const { id } = await b.drive(place(process, 1, 'c'))
    await b.settle(process)
    const echoed = (await b.events()).find(({ type }) => type === Echoed.type)
    expect(echoed).toMatchObject({ causationid: id, correlationid: id, hops: 1, partitionkey: 'c' })
    expect(echoed).not.toHaveProperty('millraceto')
  })

  it('is waited for by who publishes and waits, and told of when it gives up', async () => {
    const b = bench()
    const { opened, open } = gate()
    const order: string[] = []
    const handler = perCustomer(async ({ data }) => {
      if (data.n === 2) throw new Error('refused')
      await opened
      order.push('handled')
    })
    const process = await b.start({ handlers: [handler], events: [Placed], partitions })
    const data = { orderId: 'o1', customer: 'c', n: 1 }
    const published = process.publish(Placed, data, { wait: 'handled' }).then(() => order.push('resolved'))
    await b.pass(1_000)
    expect(order).toEqual([])
    open()
    await b.drive(published)
    expect(order).toEqual(['handled', 'resolved'])
    const failing = process.publish(Placed, { ...data, n: 2 }, { wait: 'handled' })
    await expect(b.drive(failing)).rejects.toMatchObject({ code: 'HANDLER_FAILED' })
  })

  it('can be sent to, and what is sent to another handler is not handed on to it', async () => {
    const b = bench()
    const seen: string[] = []
    const handler = perCustomer(({ data }) => seen.push(`handler ${data.n}`))
    const plain = on(Placed, { name: 'plain' }, ({ data }) => seen.push(`plain ${data.n}`))
    const process = await b.start({ handlers: [handler, plain], events: [Placed], partitions })
    await b.drive(process.send(handler, Placed, { orderId: 'o', customer: 'c', n: 1 }, { wait: 'handled' }))
    await b.drive(process.send(plain, Placed, { orderId: 'o', customer: 'c', n: 2 }))
    await b.settle(process)
    expect(seen.toSorted()).toEqual(['handler 1', 'plain 2'])
    expect(await b.events(rekeyed)).toHaveLength(1)
  })

  it('shares the way with other such handlers, each with a key of its own', async () => {
    const b = bench()
    const byCustomer = perCustomer(adding)
    const byParity = perCustomer(adding, { name: 'parity', key: ({ n }) => `p${n % 2}` })
    const process = await b.start({ handlers: [byCustomer, byParity], events: [Placed], partitions })
    await Promise.all(upTo(10).map((n) => place(process, n, 'c')))
    await b.settle(process)
    expect(await process.read(byCustomer, 'c')).toEqual({ sum: 55 })
    expect(await process.read(byCustomer, 'p0')).toEqual({ sum: 0 })
    expect(await process.read(byParity, 'c')).toEqual({ sum: 0 })
    expect([await process.read(byParity, 'p0'), await process.read(byParity, 'p1')]).toEqual([
      { sum: 30 },
      { sum: 25 },
    ])
  })

  it('takes only what comes once it is there from: now', async () => {
    const b = bench()
    const first = await b.start({ handlers: [], events: [Placed], partitions })
    await place(first, 1, 'c')
    await b.stop(first)
    const handler = perCustomer(adding, { from: 'now' })
    const second = await b.start({ handlers: [handler], events: [Placed], partitions })
    await place(second, 2, 'c')
    await b.settle(second)
    expect(await second.read(handler, 'c')).toEqual({ sum: 2 })
  })

  it('must say where it begins on a topic that has records', async () => {
    const b = bench()
    const first = await b.start({ handlers: [], events: [Placed] })
    await place(first, 1, 'c')
    await b.stop(first)
    const handler = on(Placed, { name: 'handler', key: ({ customer }) => customer }, () => undefined)
    await expect(b.start({ handlers: [handler], events: [Placed] })).rejects.toMatchObject({
      code: 'FROM_REQUIRED',
    })
  })

  it('catches up silently up to where the log ended, wherever its records are handed on to', async () => {
    const b = bench()
    const first = await b.start({ handlers: [], events: [Placed, Echoed], partitions })
    await Promise.all(upTo(20).map((n) => place(first, n, `c${n % 5}`)))
    await b.stop(first)
    const ran: number[] = []
    const handler = perCustomer(
      async ({ data }, ctx) => {
        await ctx.once('effect', () => ran.push(data.n), { whenSilent: 0 })
        ctx.emit(Echoed, { key: data.customer, n: data.n })
        ctx.state.sum.set((await ctx.state.sum.get()) + 1)
      },
      { catchUp: 'silent' },
    )
    const second = await b.start({ handlers: [handler], events: [Placed, Echoed], partitions })
    await Promise.all(upTo(25, 21).map((n) => place(second, n, `c${n % 5}`)))
    await b.settle(second)
    expect(ran.toSorted((x, y) => x - y)).toEqual(upTo(25, 21))
    expect((await b.numbers(Echoed)).toSorted((x, y) => x - y)).toEqual(upTo(25, 21))
    expect(await second.read(handler, 'c1')).toEqual({ sum: 5 })
  })

  it('goes on after a crash, with nothing lost and nothing doubled', async () => {
    const b = bench()
    const { opened, open } = gate()
    const first = await b.start({
      handlers: [perCustomer((placed, ctx) => (placed.data.n > 10 ? opened : adding(placed, ctx)))],
      events: [Placed],
      partitions,
    })
    await Promise.all(upTo(20).map((n) => place(first, n, 'c')))
    await b.pass(500)
    await b.stop(first, { now: true })
    open()
    const handler = perCustomer(adding)
    const second = await b.start({ handlers: [handler], events: [Placed], partitions })
    await b.settle(second)
    expect(await second.read(handler, 'c')).toEqual({ sum: 210 })
    expect(await b.events(rekeyed)).toHaveLength(20)
  })

  it('lags by what is handed on and not done, and by what is not handed on yet', async () => {
    const b = bench()
    const handling = gate()
    const committing = gate()
    let commits = Promise.resolve()
    const around = (engine: MemoryEngine) =>
      new Proxy<LogEngine>(engine, {
        get: (target, name) => {
          const member: unknown = Reflect.get(target, name)
          if (name !== 'join') return typeof member === 'function' ? member.bind(target) : member
          const join: LogEngine['join'] = (group, who, listener) =>
            target.join(group, who, (claim) => {
              const commit: Claim['commit'] = (change) => commits.then(() => claim.commit(change))
              listener(
                new Proxy(claim, {
                  get: (inner, part) => {
                    const own: unknown = Reflect.get(inner, part)
                    if (part === 'commit') return commit
                    return typeof own === 'function' ? own.bind(inner) : own
                  },
                }),
              )
            })
          return join
        },
      })
    const process = await b.start({
      handlers: [perCustomer(() => handling.opened)],
      events: [Placed],
      around,
    })
    for (const n of upTo(3)) await b.drive(place(process, n, 'c'))
    await b.pass(200)
    expect((await statusOf(process)).lag).toBe(3)
    commits = committing.opened
    for (const n of upTo(7, 4)) await b.drive(place(process, n, 'c'))
    await b.pass(200)
    expect(await b.events(rekeyed)).toHaveLength(3)
    expect((await statusOf(process)).lag).toBeGreaterThan(3)
    committing.open()
    handling.open()
    await b.settle(process)
    expect((await statusOf(process)).lag).toBe(0)
  })
})

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
