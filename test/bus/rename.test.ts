import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { on } from '../../src/bus/definitions.ts'
import { bench, Counted, publish, upTo } from './support.ts'

const state = { sum: z.int().default(0) }

function summing(name: string, handled: string[], fails: (n: number) => boolean, renamedFrom?: string) {
  return on(
    Counted,
    {
      name,
      state,
      whenExhausted: 'park',
      retry: { attempts: 1 },
      ...(renamedFrom === undefined ? {} : { renamedFrom }),
    },
    async ({ data }, ctx) => {
      if (fails(data.n)) throw new Error('not yet')
      ctx.state.sum.set((await ctx.state.sum.get()) + data.n)
      handled.push(`${name} ${data.n}`)
    },
  )
}

describe('a handler that was renamed', () => {
  it('goes on where it stood, with its state and its held keys', async () => {
    const b = bench()
    const handled: string[] = []
    const first = await b.start({ handlers: [summing('before', handled, (n) => n === 3)] })
    await publish(first, 'good', 1, 2)
    await publish(first, 'bad', 3, 4)
    await b.settle(first)
    await b.stop(first)
    const after = summing('after', handled, () => false, 'before')
    const second = await b.start({ handlers: [after] })
    await publish(second, 'good', 5)
    await b.redrive({ handler: 'after', key: 'bad', offset: 2 })
    await b.settle(second)
    expect(handled.toSorted()).toEqual(['after 3', 'after 4', 'after 5', 'before 1', 'before 2'])
    expect(await second.read(after, 'good')).toEqual({ sum: 8 })
    for (const family of ['state', 'parked', 'subscription', 'dead-letter']) {
      expect(b.state(`${family}/before/`).size).toBe(0)
    }
  })

  it('moves many keys, and only once', async () => {
    const b = bench()
    const handled: string[] = []
    const first = await b.start({ handlers: [summing('before', handled, () => false)] })
    for (const n of upTo(2_500)) await publish(first, `k${n}`, n)
    await b.settle(first)
    await b.stop(first)
    const after = summing('after', handled, () => false, 'before')
    const second = await b.start({ handlers: [after] })
    expect(b.state('state/after/').size).toBe(2_500)
    await publish(second, 'k7', 1)
    await b.settle(second)
    await b.stop(second)
    const third = await b.start({ handlers: [after] })
    expect(await third.read(after, 'k7')).toEqual({ sum: 8 })
  })

  it('cannot bear the name of one that is still there, nor its own', () => {
    const before = summing('before', [], () => false)
    expect(() =>
      app({ name: 'shop', handlers: [before, summing('after', [], () => false, 'before')] }),
    ).toThrow(TypeError)
    expect(() => summing('same', [], () => false, 'same')).toThrow(TypeError)
  })
})
