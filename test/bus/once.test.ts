import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import { type Bench, bench, Counted, publish, shop } from './support.ts'

/** Lets every commit take a while. */
function slowCommits(b: Bench, engine: MemoryEngine): MemoryEngine {
  const join = engine.join.bind(engine)
  engine.join = (group, member, listener) =>
    join(group, member, (claim) => {
      const commit = claim.commit.bind(claim)
      claim.commit = async (change) => {
        await b.runtime.sleep(50)
        return commit(change)
      }
      listener(claim)
    })
  return engine
}

describe('once', () => {
  it('runs once and gives its result to every later attempt', async () => {
    const b = bench()
    const results: unknown[] = []
    let runs = 0
    const handler = on(Counted, { name: 'handler' }, async (_, ctx) => {
      results.push(await ctx.once('label', () => ({ label: ++runs })))
      if (ctx.attempt < 4) throw new Error('after it')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(runs).toBe(1)
    expect(results).toEqual(Array.from({ length: 4 }, () => ({ label: 1 })))
  })

  it('remembers a result of nothing too', async () => {
    const b = bench()
    let runs = 0
    const handler = on(Counted, { name: 'handler' }, async (_, ctx) => {
      expect(
        await ctx.once('nothing', () => {
          runs += 1
        }),
      ).toBeUndefined()
      if (ctx.attempt === 1) throw new Error('after it')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(runs).toBe(1)
    expect(await b.deadLetters()).toEqual([])
  })

  it('is not run again by another process after a crash behind it', async () => {
    const b = bench()
    let runs = 0
    let handled = 0
    const handler = on(Counted, { name: 'handler' }, async (_, ctx) => {
      const result = await ctx.once('label', () => ++runs)
      if (handled === 0 && runs === 1 && crash !== undefined) {
        crash()
        await new Promise(() => {})
      }
      expect(result).toBe(1)
      handled += 1
    })
    let crash: (() => void) | undefined
    const first = await b.start({
      handlers: [handler],
      around: (engine) => {
        crash = () => {
          engine.crash()
          crash = undefined
        }
        return engine
      },
    })
    await publish(first, 'a', 1)
    await b.until(() => crash === undefined)
    b.forget(first)
    const second = await b.start({ handlers: [handler] })
    await b.settle(second)
    expect({ runs, handled }).toEqual({ runs: 1, handled: 1 })
  })

  it('runs again, with the same idempotency key, when it failed or its result was not kept', async () => {
    const b = bench()
    const keys: string[] = []
    const handler = on(Counted, { name: 'handler' }, async (_, ctx) => {
      await ctx.once('label', (idempotencyKey) => {
        keys.push(idempotencyKey)
        if (keys.length < 3) throw new Error('the carrier is down')
      })
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    expect(keys.slice(0, 3)).toEqual(Array.from({ length: 3 }, () => `handler/${shop}/0/0/label`))
    expect(keys.at(3)).not.toBe(keys[0])
    expect(keys).toHaveLength(4)
  })

  it('begins only when what the event builds on is durable', async () => {
    const b = bench()
    const seen: (number | undefined)[] = []
    const handler = on(Counted, { name: 'handler', state: { n: Counted.schema } }, async ({ data }, ctx) => {
      ctx.state.n.set(data)
      await ctx.once('look', () => {
        seen.push((b.state('state/').get('state/handler/n/a') as { n: number } | undefined)?.n)
      })
    })
    const process = await b.start({ handlers: [handler], around: (engine) => slowCommits(b, engine) })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    expect(seen).toEqual([undefined, 1, 2])
  })

  it('may not be used twice under one name in one run', async () => {
    const b = bench()
    let runs = 0
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async (_, ctx) => {
      await ctx.once('label', () => ++runs)
      await ctx.once('label', () => ++runs)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(runs).toBe(1)
    expect(await b.deadLetters()).toMatchObject([{ error: { code: 'NAME_REPEATED' } }])
  })

  it('has a name that can be stored, else the attempt fails and the partition goes on', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async ({ data }, ctx) => {
      if (data.n === 1) await ctx.once('x'.repeat(2_000), () => {})
      if (data.n === 2) await ctx.once('\ud800', () => {})
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    expect(handled).toEqual([3])
    expect(await b.deadLetters()).toMatchObject([
      { offset: 0, error: { name: 'TypeError' } },
      { offset: 1, error: { name: 'TypeError' } },
    ])
  })

  it('fails the attempt when its result cannot be stored', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, (_, ctx) =>
      ctx.once('date', () => new Date(0)),
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(await b.deadLetters()).toMatchObject([{ error: { code: 'DATA_NOT_STORABLE' } }])
  })

  it('is forgotten when its event is done, also under names that the last attempt did not use', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, async (_, ctx) => {
      await ctx.once('always', () => 1)
      await ctx.once(`attempt ${ctx.attempt}`, () => 1)
      if (ctx.attempt < 3) throw new Error('again')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.until(() => b.state('once/').size === 3)
    await b.settle(process)
    expect(b.state('once/').size).toBe(0)
  })
})
