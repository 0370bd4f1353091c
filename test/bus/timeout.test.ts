import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type HandlerContext, on } from '../../src/bus/definitions.ts'
import { bench, Counted, Echoed, gate, publish, statusOf } from './support.ts'

describe('an attempt that takes too long', () => {
  it('fails with HANDLER_TIMEOUT and an aborted signal', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', timeoutMs: 1_000, retry: { attempts: 1 } },
      async (_, ctx) => {
        await new Promise((_resolve, reject) =>
          ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason)),
        )
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(await b.deadLetters()).toMatchObject([{ error: { code: 'HANDLER_TIMEOUT' } }])
  })

  it('can use its context no more, and nothing of it is kept', async () => {
    const b = bench()
    const late = gate()
    const errors: unknown[] = []
    const trial = async (use: () => unknown) => {
      try {
        await use()
        errors.push('nothing')
      } catch (error) {
        errors.push((error as { code: string }).code)
      }
    }
    const handler = on(
      Counted,
      { name: 'handler', timeoutMs: 1_000, retry: { attempts: 1 }, state: { n: z.number() } },
      async (_, ctx) => {
        ctx.emit(Echoed, { key: 'a', n: 1 })
        ctx.state.n.set(1)
        await late.opened
        await trial(() => ctx.emit(Echoed, { key: 'a', n: 2 }))
        await trial(() => ctx.state.n.get())
        await trial(() => ctx.state.n.set(2))
        await trial(() => ctx.state.n.delete())
        await trial(() => ctx.once('late', () => 1))
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.until(async () => (await b.deadLetters()).length === 1)
    late.open()
    await b.settle(process)
    expect(errors).toEqual(Array.from({ length: 5 }, () => 'CONTEXT_REVOKED'))
    expect(await b.numbers(Echoed)).toEqual([])
    expect(await process.read(handler, 'a')).toEqual({ n: undefined })
  })

  it('is over before the next attempt of its key begins, whatever its retries say', async () => {
    const b = bench()
    const slow = gate()
    const log: string[] = []
    const handler = on(
      Counted,
      { name: 'handler', timeoutMs: 1_000, retry: { baseMs: 1 } },
      async ({ data }, ctx) => {
        log.push(`${data.key}${data.n} begins ${ctx.attempt}`)
        if (data.key === 'a' && data.n === 1 && ctx.attempt === 1) await slow.opened
        log.push(`${data.key}${data.n} ends ${ctx.attempt}`)
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.pass(60_000)
    await publish(process, 'b', 1)
    await b.pass(60_000)
    expect(log).toEqual(['a1 begins 1', 'b1 begins 1', 'b1 ends 1'])
    slow.open()
    await b.settle(process)
    expect(log.slice(3)).toEqual(['a1 ends 1', 'a1 begins 2', 'a1 ends 2', 'a2 begins 1', 'a2 ends 1'])
  })

  it('shows its key as stuck after a grace of the same length, until it ends', async () => {
    const b = bench()
    const slow = gate()
    const handler = on(Counted, { name: 'handler', timeoutMs: 10_000 }, async (_, ctx) => {
      if (ctx.attempt === 1) await slow.opened
    })
    const warned: object[] = []
    const logger = { debug() {}, info() {}, error() {}, warn: (fields: object) => warned.push(fields) }
    const process = await b.start({ handlers: [handler], options: { logger } })
    await publish(process, 'a', 1)
    await b.pass(19_000)
    expect((await statusOf(process)).stuck).toEqual([])
    await b.pass(3_000)
    expect(await statusOf(process)).toMatchObject({ stuck: ['a'], inFlight: 1 })
    expect(warned).toContainEqual({ code: 'HANDLER_STUCK', handler: 'handler', key: 'a' })
    slow.open()
    await b.settle(process)
    expect(await statusOf(process)).toMatchObject({ stuck: [], inFlight: 0, counts: { handled: 1 } })
  })

  it('revokes the context of an attempt that has ended in time too', async () => {
    const b = bench()
    const kept: HandlerContext[] = []
    const handler = on(Counted, { name: 'handler' }, (_, ctx) => kept.push(ctx))
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(() => kept[0]?.emit(Echoed, { key: 'a', n: 1 })).toThrow(
      expect.objectContaining({ code: 'CONTEXT_REVOKED' }),
    )
  })

  it('has what its once resolves with remembered, though it came too late for that attempt', async () => {
    const b = bench()
    const slow = gate()
    const log: string[] = []
    const handler = on(Counted, { name: 'handler', timeoutMs: 1_000 }, async (_, ctx) => {
      const label = await ctx.once('label', async () => {
        log.push('ran')
        await slow.opened
        return 7
      })
      log.push(`attempt ${ctx.attempt}: ${label}`)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.pass(5_000)
    slow.open()
    await b.settle(process)
    expect(log).toEqual(['ran', 'attempt 2: 7'])
    expect(b.state('once/').size).toBe(0)
  })
})
