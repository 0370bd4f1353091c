import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import type { Event } from '../../src/core/event.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import type { Claim, LogEngine } from '../../src/log/port.ts'
import { adding, type Order, Placed, partitions, perCustomer, place, rekeyed, state } from './per-customer.ts'
import { bench, Echoed, gate, statusOf, upTo } from './support.ts'

/** An engine whose commits wait, and whose reads are told. */
function watched(
  engine: MemoryEngine,
  { beforeCommit, read }: { beforeCommit(): Promise<void>; read?(records: number): void },
): LogEngine {
  const join: LogEngine['join'] = (group, member, listener) =>
    engine.join(group, member, (claim) => {
      const commit: Claim['commit'] = (change) => beforeCommit().then(() => claim.commit(change))
      listener(withOther(claim, { commit }))
    })
  const reading: LogEngine['read'] = async (...asked) => {
    const batch = await engine.read(...asked)
    read?.(batch.records.length)
    return batch
  }
  return withOther<LogEngine>(engine, { join, read: reading })
}

/** An object with other methods in place of its own. */
function withOther<T extends object>(whole: T, others: Partial<T>): T {
  return new Proxy(whole, {
    get: (target, name) => {
      const member: unknown = Reflect.get(others, name) ?? Reflect.get(target, name)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
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
    const around = (engine: MemoryEngine) => watched(engine, { beforeCommit: () => commits })
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

  it('is handed on no more than what a commit can take, however much there is', async () => {
    const b = bench()
    const first = await b.start({ events: [Placed] })
    await Promise.all(upTo(6_000).map((n) => place(first, n, `c${n}`)))
    await b.stop(first)
    const { opened, open } = gate()
    let commits = 0
    let read = 0
    const around = (engine: MemoryEngine) =>
      watched(engine, {
        beforeCommit: () => {
          commits += 1
          return commits === 1 ? Promise.resolve() : opened
        },
        read: (records) => {
          read += records
        },
      })
    const process = await b.start({ handlers: [perCustomer(() => undefined)], events: [Placed], around })
    await b.pass(1_000)
    expect(read).toBeGreaterThan(0)
    expect(read).toBeLessThan(3_000)
    open()
    await b.settle(process)
    expect(await b.events(rekeyed)).toHaveLength(6_000)
  })
})
