import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { ForgetHandler, type LeftInGroup } from '../../src/app/forget-handler.ts'
import { every, on } from '../../src/bus/definitions.ts'
import { type MemoryEngine, openMemory } from '../../src/engines/memory/index.ts'
import type { LogEngine } from '../../src/log/port.ts'
import { Aside, type Bench, bench, Counted, Echoed, publish, shop } from '../bus/support.ts'

const resident = () => on(Counted, { name: 'resident', from: 'start' }, () => {})
const events = [Counted, Echoed, Aside]
const shopWith = (...handlers: Parameters<typeof app>[0]['handlers'] & object) =>
  app({ name: shop, handlers, events })

const state = { seen: z.number().default(0) }
const gone = (group?: string) =>
  on(
    [Counted, Aside],
    { name: 'gone', from: 'start', state, retry: { attempts: 1 }, ...(group === undefined ? {} : { group }) },
    async ({ data }, ctx) => {
      ctx.state.seen.set(data.n)
      await ctx.once('told', () => data.n)
      if (data.n % 2 === 0) throw new Error('odd ones only')
    },
  )
const holding = () =>
  on(Counted, { name: 'gone', from: 'start', retry: { attempts: 1 }, whenExhausted: 'park' }, () => {
    throw new Error('never')
  })

/** Runs a handler over some events, then stops everything. */
async function runOnce(
  b: Bench,
  handler: ReturnType<typeof gone> | ReturnType<typeof holding>,
): Promise<void> {
  const process = await b.start({ handlers: [resident(), handler], partitions: 4 })
  for (const key of ['a', 'b', 'c']) {
    await publish(process, key, 1)
    await publish(process, key, 2)
  }
  await b.settle(process)
  await b.stop(process)
}

/** Looks at what a handler has left, and drops it when asked to. */
async function forget(b: Bench, of: ReturnType<typeof app>, drop: boolean): Promise<readonly LeftInGroup[]> {
  const engine = openMemory({ runtime: b.runtime, log: b.log })
  const forgetting = await b.drive(ForgetHandler.open({ app: of, engine, runtime: b.runtime }, 'gone'))
  const { left } = forgetting
  if (drop) await b.drive(forgetting.drop())
  await b.drive(forgetting[Symbol.asyncDispose]())
  await b.drive(engine.close())
  return left
}

const families = ['state', 'once', 'dead-letter', 'parked', 'subscription']
const keysOf = (b: Bench, partitions = [0, 1, 2, 3]) =>
  partitions.flatMap((partition) =>
    families.flatMap((family) => [...b.state(`${family}/gone/`, { partition }).keys()]),
  )

describe('a handler that is gone', () => {
  it('has left what is told: dead letters, state, and what once remembers of them', async () => {
    const b = bench()
    await runOnce(b, gone())
    const [left, ...others] = await forget(b, shopWith(resident()), false)
    expect(others).toEqual([])
    expect(left).toMatchObject({ group: shop, records: 0, parkedKeys: 0, deadLetters: 3, stateValues: 3 })
    expect(left?.remembered).toBe(3)
    expect(left?.partitions).toBe(4)
    expect(keysOf(b).length).toBeGreaterThan(0)
  })

  it('has left what is told: parked keys, and records that it has not done', async () => {
    const b = bench()
    await runOnce(b, holding())
    const next = await b.start({ handlers: [resident(), holding()] })
    await b.stop(next)
    const later = await b.start({ handlers: [resident(), gone('aside')] }).catch((error: unknown) => error)
    expect(later).toMatchObject({ code: 'HANDLER_VANISHED' })
    const [left] = await forget(b, shopWith(resident()), false)
    expect(left).toMatchObject({ parkedKeys: 3, records: 0, deadLetters: 3 })
  })

  it('is forgotten wholly, and only it', async () => {
    const b = bench()
    await runOnce(b, gone())
    const before = b.state('subscription/resident/')
    await forget(b, shopWith(resident()), true)
    expect(keysOf(b)).toEqual([])
    expect(b.state('subscription/resident/')).toEqual(before)
    await b.stop(await b.start({ handlers: [resident()] }))
    await expect(forget(b, shopWith(resident()), true)).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
  })

  it('is forgotten in a group that the application has no more, and holds no records back', async () => {
    const b = bench()
    const topics = { [shop]: { retention: { maxBytes: 1 } } }
    const first = await b.start({ handlers: [gone('apart')], topics })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    const second = await b.start({ handlers: [], topics })
    await publish(second, 'a', 1)
    await b.stop(second)
    const [left] = await forget(b, app({ name: shop, events, topics }), true)
    expect(left).toMatchObject({ group: 'apart', records: 1 })
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    const place = { topic: shop, partition: 0 }
    expect(await b.drive(engine.trim(place, { before: 2 }))).toBe(2)
    await b.drive(engine.close())
  })

  it('is not forgotten while it is still there, and neither is a name that left nothing', async () => {
    const b = bench()
    await runOnce(b, gone())
    await expect(forget(b, shopWith(resident(), gone()), true)).rejects.toMatchObject({
      code: 'HANDLER_PRESENT',
    })
    expect(keysOf(b).length).toBeGreaterThan(0)
    const engine = openMemory({ runtime: b.runtime, log: b.log })
    const tools = { app: shopWith(resident()), engine, runtime: b.runtime }
    await expect(b.drive(ForgetHandler.open(tools, 'gon'))).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN' })
    await b.drive(engine.close())
  })

  it('is forgotten in the topics only that it does not take from any more, when it is still there', async () => {
    const b = bench()
    const process = await b.start({ handlers: [gone()] })
    await process.publish(Aside, { key: 'a', n: 2 })
    await publish(process, 'a', 1)
    await publish(process, 'a', 2)
    await b.settle(process)
    await b.stop(process)
    const narrowed = on(Counted, { name: 'gone', from: 'start' }, () => {})
    const [left] = await forget(b, shopWith(narrowed), true)
    expect(left).toMatchObject({ deadLetters: 1, stateValues: 0 })
    expect([...b.state('dead-letter/gone/').keys()]).toEqual([`dead-letter/gone/${shop}/0000000000000001`])
    expect([...b.state('state/gone/').keys()]).toEqual(['state/gone/seen/a'])
    await expect(forget(b, shopWith(narrowed), true)).rejects.toMatchObject({ code: 'HANDLER_PRESENT' })
  })

  it('is not forgotten while a process owns its partitions', async () => {
    const b = bench()
    const process = await b.start({ handlers: [gone()], partitions: 4 })
    await expect(forget(b, shopWith(resident()), true)).rejects.toMatchObject({ code: 'LOG_IN_USE' })
    await b.stop(process)
  })

  it('of a schedule leaves no schedule', async () => {
    const b = bench()
    const tick = every('* * * * *', { name: 'gone' }, () => {})
    const process = await b.start({ handlers: [tick] })
    await b.pass(120_000, 1_000)
    await b.stop(process)
    expect(b.state('schedule/').size).toBe(1)
    await forget(b, shopWith(resident()), true)
    expect(b.state('schedule/').size).toBe(0)
  })
})

/** An engine that gives the first partition at once, and puts aside what gives the others. */
const givesLate = (late: (() => void)[]) => (engine: MemoryEngine) => {
  const join: LogEngine['join'] = (group, member, listener) =>
    engine.join(group, member, (claim) => {
      if (claim.partition === 0) listener(claim)
      else late.push(() => listener(claim))
    })
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'join') return join
      const found: unknown = Reflect.get(target, name, target)
      return typeof found === 'function' ? found.bind(target) : found
    },
  })
}

describe('forgetting at start', () => {
  it('drops state and dead letters too, and a second time there is nothing to forget', async () => {
    const b = bench()
    await runOnce(b, gone())
    const start = () => b.start({ handlers: [resident()], options: { forget: ['gone'] } })
    await b.stop(await start())
    expect(keysOf(b)).toEqual([])
    await expect(start()).rejects.toMatchObject({ code: 'HANDLER_UNKNOWN', where: "handler 'gone'" })
  })

  it('takes no partition that was only claimed for one with nothing to forget, and drops what is there later', async () => {
    const b = bench()
    await runOnce(b, gone())
    const how = { handlers: [resident()], partitions: 4, options: { forget: ['gone'] } }
    await b.stop(await b.start({ ...how, around: givesLate([]) }))
    expect(keysOf(b, [0])).toEqual([])
    expect(keysOf(b, [1, 2, 3]).length).toBeGreaterThan(0)
    const late: (() => void)[] = []
    // The first partition, in which there is nothing any more, is set up by then; the others are only claimed.
    const fault = (step: string) => {
      if (step === 'commit:apply') for (const give of late.splice(0)) give()
      return undefined
    }
    await b.start({ ...how, around: givesLate(late), fault })
    await b.until(() => keysOf(b).length === 0)
  })

  it('refuses a handler that is still there', async () => {
    const b = bench()
    await runOnce(b, gone())
    await expect(
      b.start({ handlers: [resident(), gone()], options: { forget: ['gone'] } }),
    ).rejects.toMatchObject({ code: 'HANDLER_PRESENT' })
    expect(keysOf(b).length).toBeGreaterThan(0)
  })
})
