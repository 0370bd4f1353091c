import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { Aside, bench, Counted, gate, publish } from './support.ts'

describe('state', () => {
  it('is kept for every key by itself, with its own writes and its default', async () => {
    const b = bench()
    const seen: unknown[] = []
    const handler = on(
      Counted,
      { name: 'handler', state: { sum: z.number().default(100), note: z.string() } },
      async ({ data }, ctx) => {
        seen.push(await ctx.state.sum.get(), await ctx.state.note.get())
        ctx.state.sum.set((await ctx.state.sum.get()) + data.n)
        ctx.state.note.set(`${data.key}${data.n}`)
        seen.push(await ctx.state.sum.get(), await ctx.state.note.get())
      },
    )
    const process = await b.start({ handlers: [handler], partitions: 4 })
    await publish(process, 'a', 1)
    await b.settle(process)
    await publish(process, 'a', 2)
    await b.settle(process)
    await publish(process, 'b', 3)
    await b.settle(process)
    expect(seen).toEqual([100, undefined, 101, 'a1', 101, 'a1', 103, 'a2', 100, undefined, 103, 'b3'])
    expect(await process.read(handler, 'a')).toEqual({ sum: 103, note: 'a2' })
    expect(await process.read(handler, 'c')).toEqual({ sum: 100, note: undefined })
  })

  it('is removed by delete, and then has its default again', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', state: { sum: z.number().default(0) } },
      async ({ data }, ctx) => {
        if (data.n > 0) return ctx.state.sum.set(data.n)
        ctx.state.sum.delete()
        expect(await ctx.state.sum.get()).toBe(0)
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 5)
    await b.settle(process)
    expect(b.state('state/').size).toBe(1)
    await publish(process, 'a', 0)
    await b.settle(process)
    expect(b.state('state/').size).toBe(0)
    expect(await b.deadLetters()).toEqual([])
    expect(await process.read(handler, 'a')).toEqual({ sum: 0 })
  })

  it('that does not match its schema is STATE_INVALID and fails the attempt', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 1 }, state: { sum: z.number().max(9) } },
      ({ data }, ctx) => ctx.state.sum.set(data.n),
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 9, 10)
    await b.settle(process)
    expect(await b.deadLetters()).toMatchObject([{ offset: 1, error: { code: 'STATE_INVALID' } }])
    expect(await process.read(handler, 'a')).toEqual({ sum: 9 })
  })

  it('of one key is seen by the next event at once, though it is not durable yet', async () => {
    const b = bench()
    const slow = gate()
    const sums: number[] = []
    const handler = on(
      Counted,
      { name: 'handler', state: { sum: z.number().default(0) } },
      async ({ data }, ctx) => {
        const sum = (await ctx.state.sum.get()) + data.n
        sums.push(sum)
        ctx.state.sum.set(sum)
      },
    )
    const process = await b.start({ handlers: [handler] })
    slow.open()
    await publish(process, 'a', 1, 100)
    await b.settle(process)
    expect(sums.at(-1)).toBe(5_050)
    expect(await process.read(handler, 'a')).toEqual({ sum: 5_050 })
  })

  it('is read from outside as it was last committed, not as an attempt has it', async () => {
    const b = bench()
    const held = gate()
    const handler = on(Counted, { name: 'handler', state: { n: z.number() } }, async ({ data }, ctx) => {
      ctx.state.n.set(data.n)
      if (data.n === 2) await held.opened
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    await publish(process, 'a', 2)
    await b.quiet()
    expect(await process.read(handler, 'a')).toEqual({ n: 1 })
    held.open()
    await b.settle(process)
    expect(await process.read(handler, 'a')).toEqual({ n: 2 })
  })

  it('is one for a key over all topics of a handler, and another for every handler', async () => {
    const b = bench()
    const state = { sum: z.number().default(0) }
    const add = async (n: number, cell: { get(): Promise<number>; set(value: number): void }) =>
      cell.set((await cell.get()) + n)
    const both = on([Counted, Aside], { name: 'both', state }, ({ data }, ctx) => add(data.n, ctx.state.sum))
    const one = on(Counted, { name: 'one', state }, ({ data }, ctx) => add(data.n, ctx.state.sum))
    const process = await b.start({ handlers: [both, one] })
    for (const n of [1, 2, 3]) {
      await process.publish(Counted, { key: 'a', n })
      await process.publish(Aside, { key: 'a', n: n * 10 })
    }
    await b.settle(process)
    expect(await process.read(both, 'a')).toEqual({ sum: 66 })
    expect(await process.read(one, 'a')).toEqual({ sum: 6 })
  })

  it('survives a restart', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', state: { sum: z.number().default(0) } },
      async ({ data }, ctx) => ctx.state.sum.set((await ctx.state.sum.get()) + data.n),
    )
    for (const n of [1, 2, 3]) {
      const process = await b.start({ handlers: [handler] })
      await publish(process, 'a', n)
      await b.settle(process)
      if (n === 3) expect(await process.read(handler, 'a')).toEqual({ sum: 6 })
      await b.stop(process)
    }
  })
})
