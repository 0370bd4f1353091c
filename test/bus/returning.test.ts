import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, publish, upTo } from './support.ts'

/** A handler that counts in its state and keeps what it saw. */
function counting(seen: number[], options: object = {}) {
  return on(
    Counted,
    { name: 'counting', from: 'start', state: { count: z.number().default(0) }, ...options },
    async ({ data }, ctx) => {
      seen.push(data.n)
      ctx.state.count.set((await ctx.state.count.get()) + 1)
    },
  )
}

describe('a handler that comes back', () => {
  it('goes on where it stood, with its state, and takes what came meanwhile', async () => {
    const b = bench()
    const seen: number[] = []
    const first = await b.start({ handlers: [counting(seen)] })
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.stop(first)
    const without = await b.start({ handlers: [] })
    await publish(without, 'a', 4, 5)
    await b.settle(without)
    await b.stop(without)
    const again = await b.start({ handlers: [] })
    await b.stop(again)
    const back = await b.start({ handlers: [counting(seen)] })
    await publish(back, 'a', 6)
    await b.settle(back)
    expect(seen).toEqual(upTo(6))
    expect(await back.read(counting([]), 'a')).toEqual({ count: 6 })
  })

  it('handles nothing twice though a process without it had its partitions for a while', async () => {
    const b = bench()
    const seen: number[] = []
    const one = await b.start({ handlers: [counting(seen)], partitions: 4 })
    const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
    for (const key of keys) await publish(one, key, 1, 5)
    await b.settle(one)
    const other = await b.start({ handlers: [] })
    await b.settle(one)
    await b.stop(other)
    for (const key of keys) await publish(one, key, 6)
    await b.settle(one)
    expect(seen.toSorted()).toEqual(keys.flatMap(() => upTo(6)).toSorted())
    for (const key of keys) expect(await b.drive(one.read(counting([]), key))).toEqual({ count: 6 })
  })

  it('with a key of its own goes on where it stood, too', async () => {
    const b = bench()
    const seen: number[] = []
    const key = ({ n }: { n: number }) => `n${n % 3}`
    const first = await b.start({ handlers: [counting(seen, { key })], partitions: 4 })
    await publish(first, 'a', 1, 4)
    await b.settle(first)
    await b.stop(first)
    await b.stop(await b.start({ handlers: [] }))
    const back = await b.start({ handlers: [counting(seen, { key })] })
    await publish(back, 'a', 5)
    await b.settle(back)
    expect(seen.toSorted()).toEqual(upTo(5))
  })

  it('begins where the log does, when what it has not seen was trimmed', async () => {
    const b = bench()
    const seen: number[] = []
    const topics = { shop: { retention: { maxAgeMs: 1_000 } } }
    const first = await b.start({ handlers: [counting(seen)], topics })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    const without = await b.start({ handlers: [], topics })
    await publish(without, 'a', 2)
    const place = { topic: 'shop', partition: 0 }
    await b.until(async () => (await without.engine.bounds(place)).start === 2)
    await publish(without, 'a', 3)
    await b.stop(without)
    const back = await b.start({ handlers: [counting(seen)], topics })
    await b.settle(back)
    expect(seen).toEqual([1, 3])
  })

  it('begins anew when it was forgotten', async () => {
    const b = bench()
    const seen: number[] = []
    const first = await b.start({ handlers: [counting(seen)] })
    await publish(first, 'a', 1, 2)
    await b.settle(first)
    await b.stop(first)
    await b.stop(await b.start({ handlers: [] }))
    await b.stop(await b.start({ handlers: [], options: { forget: ['counting'] } }))
    const back = await b.start({ handlers: [counting(seen)] })
    await b.settle(back)
    expect(seen).toEqual([1, 2, 1, 2])
    expect(await back.read(counting([]), 'a')).toEqual({ count: 2 })
  })

  it('does not stand in the way of another that takes its name', async () => {
    const b = bench()
    const seen: number[] = []
    const other = on(Counted, { name: 'other', from: 'start' }, () => {})
    const first = await b.start({ handlers: [counting(seen), other] })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    await b.stop(await b.start({ handlers: [other] }))
    const renamed = await b.start({ handlers: [counting(seen, { renamedFrom: 'other' })] })
    await publish(renamed, 'a', 2)
    await b.settle(renamed)
    expect(seen).toEqual([1, 2])
  })
})
