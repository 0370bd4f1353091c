import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { on } from '../../src/bus/definitions.ts'
import { command, failed } from '../../src/core/command.ts'
import { TerminalError } from '../../src/core/errors.ts'
import type { MemoryEngine } from '../../src/engines/memory/index.ts'
import { bench, Counted, Echoed, type Gate, gate } from './support.ts'

const Reserve = command('shop.reserve', {
  schema: z.object({ key: z.string(), n: z.number() }),
  key: ({ key }) => key,
  result: z.object({ left: z.number(), at: z.string().default('here') }),
  failure: z.object({ reason: z.string() }),
  resultTtlMs: 60 * 60 * 1000,
})

/** Reserves up to what there is of a key; says so by an event. */
const reserve = on(
  Reserve,
  { name: 'reserve', state: { left: z.number().default(10) } },
  async ({ data }, ctx) => {
    const left = (await ctx.state.left.get()) - data.n
    ctx.emit(Echoed, data)
    if (left < 0) return failed({ reason: 'sold out' })
    ctx.state.left.set(left)
    return { left }
  },
)

/** An engine that makes results durable at once, and acknowledges them behind a gate. */
function acknowledgesResultsBehind({ opened }: Gate, engine: MemoryEngine): MemoryEngine {
  const join = engine.join.bind(engine)
  engine.join = (group, member, listener) =>
    join(group, member, (claim) => {
      const commit = claim.commit.bind(claim)
      claim.commit = async (change) => {
        const appended = await commit(change)
        if (change.puts.some(({ key }) => key.startsWith('result/'))) await opened
        return appended
      }
      listener(claim)
    })
  return engine
}

const stored = (left: number) => ({ ok: true, result: { left, at: 'here' } })

describe('request', () => {
  it("resolves with the result, as its schema gives it, once the handler's effects are committed", async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    expect(await b.drive(process.request(Reserve, { key: 'a', n: 3 }))).toEqual(stored(7))
    expect(await b.drive(process.read(reserve, 'a'))).toEqual({ left: 7 })
    expect(await b.drive(process.request(Reserve, { key: 'a', n: 3 }))).toEqual(stored(4))
  })

  it('resolves with a failure, which commits what the handler did, and is neither tried again nor a dead letter', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    expect(await b.drive(process.request(Reserve, { key: 'a', n: 30 }))).toEqual({
      ok: false,
      failure: { reason: 'sold out' },
    })
    expect(await b.numbers(Echoed)).toEqual([30])
    expect(await b.deadLetters()).toEqual([])
  })

  it('waits through retries', async () => {
    const b = bench()
    const flaky = on(Reserve, { name: 'reserve' }, (_, ctx) => {
      if (ctx.attempt < 3) throw new Error('not yet')
      return { left: ctx.attempt }
    })
    const process = await b.start({ handlers: [flaky] })
    expect(await b.drive(process.request(Reserve, { key: 'a', n: 1 }))).toEqual(stored(3))
  })

  it.each([
    ['a result that does not match', () => ({ left: 'many' })],
    ['no result', () => undefined],
    ['a failure that does not match', () => failed({ reason: 7 })],
    ['a result that is too large', () => ({ left: 1, at: 'x'.repeat(600_000) })],
  ])('is HANDLER_FAILED after every attempt has given %s', async (_, decide) => {
    const b = bench()
    let attempts = 0
    const wrong = on(Reserve, { name: 'reserve', retry: { attempts: 2 } }, (event, ctx) => {
      attempts = ctx.attempt
      ctx.emit(Echoed, event.data)
      return decide() as never
    })
    const process = await b.start({ handlers: [wrong] })
    await expect(b.drive(process.request(Reserve, { key: 'a', n: 1 }))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      facts: { resultId: 'shop.0.0', handler: 'reserve', error: { code: 'RESULT_INVALID' } },
    })
    expect(attempts).toBe(2)
    expect(await b.numbers(Echoed)).toEqual([])
  })

  it('is WAIT_TIMEOUT with the id of the result, which is fetched later', async () => {
    const b = bench()
    const { opened, open } = gate()
    const slow = on(Reserve, { name: 'reserve' }, async () => {
      await opened
      return { left: 1 }
    })
    const process = await b.start({ handlers: [slow] })
    const error = await b.drive(process.request(Reserve, { key: 'a', n: 1 }, { waitTimeoutMs: 200 })).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toMatchObject({ code: 'WAIT_TIMEOUT', facts: { resultId: 'shop.0.0' } })
    expect(await b.drive(process.result('shop.0.0'))).toEqual({ pending: true })
    open()
    await b.settle(process)
    expect(await b.drive(process.result(Reserve, 'shop.0.0'))).toEqual({ pending: false, ...stored(1) })
  })

  it('of one id gives one outcome, however often it is asked for', async () => {
    const b = bench()
    const { opened, open } = gate()
    let handled = 0
    const slow = on(Reserve, { name: 'reserve' }, async () => {
      await opened
      handled += 1
      return { left: handled }
    })
    const process = await b.start({ handlers: [slow] })
    const asked = [1, 2, 3].map(() => process.request(Reserve, { key: 'a', n: 1 }, { id: 'once' }))
    await b.pass(500)
    open()
    expect(await b.drive(Promise.all(asked))).toEqual([stored(1), stored(1), stored(1)])
    expect(await b.drive(process.request(Reserve, { key: 'a', n: 1 }, { id: 'once' }))).toEqual(stored(1))
    expect(handled).toBe(1)
  })

  it('works when the handler runs in another process', async () => {
    const b = bench()
    const ranIn = new Set<number>()
    const handlerOf = (process: number) =>
      on(Reserve, { name: 'reserve' }, ({ data }) => {
        ranIn.add(process)
        return { left: data.n }
      })
    const one = await b.start({ partitions: 8, handlers: [handlerOf(1)] })
    const two = await b.start({ partitions: 8, handlers: [handlerOf(2)] })
    for (let n = 0; n < 24; n += 1) {
      const asked = (n % 2 === 0 ? one : two).request(Reserve, { key: `k${n}`, n })
      expect(await b.drive(asked)).toEqual(stored(n))
    }
    expect(ranIn).toEqual(new Set([1, 2]))
  })

  it('refuses what it cannot wait for', async () => {
    const b = bench()
    const process = await b.start({ handlers: [] })
    const data = { key: 'a', n: 1 }
    await expect(process.request(Reserve, data)).rejects.toMatchObject({ code: 'COMMAND_UNHANDLED' })
    await expect(process.submit(Reserve, data)).rejects.toMatchObject({ code: 'COMMAND_UNHANDLED' })
    await expect(process.request(Counted as never, data as never)).rejects.toThrow(TypeError)
    const other = await b.start({ handlers: [reserve] })
    await expect(other.submit(Reserve, data, { delay: 1 } as never)).rejects.toThrow(TypeError)
    await expect(b.drive(other.request(Reserve, { key: 'a' } as never))).rejects.toMatchObject({
      code: 'DATA_INVALID',
    })
    await expect(
      b.drive(other.request(Reserve, data, { signal: AbortSignal.abort(new Error('gone')) })),
    ).rejects.toThrow('gone')
  })
})

describe('a result', () => {
  it('is fetched by the id that submit gave, which is the same for the same id', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    const first = await b.drive(process.submit(Reserve, { key: 'a', n: 3 }, { id: 'one' }))
    const again = await b.drive(process.submit(Reserve, { key: 'a', n: 3 }, { id: 'one' }))
    expect([first.resultId, again.resultId]).toEqual(['shop.0.0', 'shop.0.0'])
    await b.settle(process)
    expect(await b.drive(process.result(first.resultId))).toEqual({ pending: false, ...stored(7) })
  })

  it('is told only once its commit is acknowledged, though it is durable before', async () => {
    const b = bench()
    const acknowledged = gate()
    const around = (engine: MemoryEngine) => acknowledgesResultsBehind(acknowledged, engine)
    const process = await b.start({ handlers: [reserve], around })
    const { resultId } = await b.drive(process.submit(Reserve, { key: 'a', n: 3 }))
    await b.until(() => b.state('result/').size === 1)
    let isTold = false
    const told = process.result(resultId).finally(() => {
      isTold = true
    })
    await b.pass(1_000)
    expect(isTold).toBe(false)
    acknowledged.open()
    expect(await b.drive(told)).toEqual({ pending: false, ...stored(7) })
  })

  it('is there however the command was published', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.publish(Reserve, { key: 'a', n: 3 }, { wait: 'handled' }))
    expect(await b.drive(process.result('shop.0.0'))).toEqual({ pending: false, ...stored(7) })
  })

  it('survives the process that made it', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.request(Reserve, { key: 'a', n: 3 }))
    await b.stop(process)
    const next = await b.start({ handlers: [reserve] })
    expect(await b.drive(next.result('shop.0.0'))).toEqual({ pending: false, ...stored(7) })
  })

  it('is kept for its time, and then removed', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.request(Reserve, { key: 'a', n: 3 }))
    await b.pass(59 * 60 * 1000)
    expect(await b.drive(process.result('shop.0.0'))).toMatchObject({ ok: true })
    expect(b.state('result/').size).toBe(1)
    await b.pass(3 * 60 * 1000)
    await expect(b.drive(process.result('shop.0.0'))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    expect([b.state('result/').size, b.state('timer/').size]).toEqual([0, 0])
  })

  it('is told no longer than its time, though results that expire soon after one another are removed together', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.request(Reserve, { key: 'a', n: 3 }))
    const [result] = b.state('result/').values()
    const { expiresMs } = result as { readonly expiresMs: number }
    await b.pass(expiresMs - b.runtime.now() + 1)
    await expect(b.drive(process.result('shop.0.0'))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    expect(b.state('result/').size).toBe(1)
  })

  it('is removed after a restart too, when its time was over meanwhile', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.request(Reserve, { key: 'a', n: 3 }))
    await b.stop(process)
    await b.pass(2 * 60 * 60 * 1000)
    const next = await b.start({ handlers: [reserve] })
    await expect(b.drive(next.result('shop.0.0'))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    await b.until(() => b.state('result/').size === 0)
  })

  it('of a dead letter is HANDLER_FAILED until a redrive has succeeded', async () => {
    const b = bench()
    let broken = true
    const handler = on(Reserve, { name: 'reserve', whenExhausted: 'park' }, () => {
      if (broken) throw new TerminalError('out of order')
      return { left: 5 }
    })
    const process = await b.start({ handlers: [handler] })
    const { resultId } = await b.drive(process.submit(Reserve, { key: 'a', n: 1 }))
    await b.settle(process)
    await expect(b.drive(process.result(resultId))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      facts: { handler: 'reserve', error: { message: 'out of order' }, resultId },
    })
    broken = false
    await b.redrive({ handler: 'reserve', key: 'a', offset: 0 })
    await b.settle(process)
    expect(await b.drive(process.result(resultId))).toEqual({ pending: false, ...stored(5) })
  })

  it('of a discarded dead letter says why there is none', async () => {
    const b = bench()
    const handler = on(Reserve, { name: 'reserve' }, () => {
      throw new TerminalError('out of order')
    })
    const process = await b.start({ handlers: [handler] })
    const { resultId } = await b.drive(process.submit(Reserve, { key: 'a', n: 1 }))
    await b.settle(process)
    await b.drive(process.deadLetters.discard({}, { reason: 'a test' }))
    await b.settle(process)
    await expect(b.drive(process.result(resultId))).rejects.toMatchObject({
      code: 'HANDLER_FAILED',
      facts: { discarded: 'a test' },
    })
  })

  it('is pending while its key is held by an earlier command', async () => {
    const b = bench()
    const { opened, open } = gate()
    const handler = on(Reserve, { name: 'reserve' }, async ({ data }) => {
      await opened
      return { left: data.n }
    })
    const process = await b.start({ handlers: [handler] })
    for (let n = 0; n < 300; n += 1) await b.drive(process.submit(Reserve, { key: 'a', n }))
    expect(await b.drive(process.result('shop.0.299'))).toEqual({ pending: true })
    expect(await b.drive(process.result('shop.0.0'))).toEqual({ pending: true })
    open()
    await b.settle(process)
    expect(await b.drive(process.result('shop.0.299'))).toEqual({ pending: false, ...stored(299) })
  })

  it.each(['', 'nonsense', 'shop.0', 'shop.9.0', 'shop.0.99', 'other.0.0', 'shop.0.-1', 7])(
    '%j is RESULT_UNKNOWN',
    async (id) => {
      const b = bench()
      const process = await b.start({ handlers: [reserve] })
      await expect(b.drive(process.result(id as string))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    },
  )

  it('of an event, or of another command, is RESULT_UNKNOWN', async () => {
    const b = bench()
    const Other = command('shop.other', { schema: z.object({}), result: z.number() })
    const other = on(Other, { name: 'other' }, () => 1)
    const process = await b.start({ handlers: [reserve, other, on(Counted, { name: 'count' }, () => {})] })
    await b.drive(process.publish(Counted, { key: 'a', n: 1 }))
    await b.drive(process.request(Reserve, { key: 'a', n: 1 }))
    await expect(b.drive(process.result('shop.0.0'))).rejects.toMatchObject({ code: 'RESULT_UNKNOWN' })
    await expect(b.drive(process.result(Other, 'shop.0.1'))).rejects.toMatchObject({
      code: 'RESULT_UNKNOWN',
    })
  })

  it('stays when the handler is renamed', async () => {
    const b = bench()
    const process = await b.start({ handlers: [reserve] })
    await b.drive(process.request(Reserve, { key: 'a', n: 3 }))
    await b.stop(process)
    const renamed = on(Reserve, { name: 'hold', renamedFrom: 'reserve' }, () => ({ left: 0 }))
    const next = await b.start({ handlers: [renamed] })
    expect(await b.drive(next.result('shop.0.0'))).toEqual({ pending: false, ...stored(7) })
  })
})

describe('the handler of a command', () => {
  it('is the only one', () => {
    const second = on(Reserve, { name: 'second' }, () => ({ left: 0 }))
    expect(() => app({ name: 'shop', handlers: [reserve, second] })).toThrow(
      expect.objectContaining({ code: 'COMMAND_HANDLED_TWICE' }),
    )
  })

  it('handles nothing else, not silently, and by no other key', () => {
    expect(() => on([Reserve, Counted], { name: 'both' }, () => {})).toThrow(TypeError)
    const filter = { type: Reserve, data: { n: [1] } }
    expect(() => on(filter, { name: 'some' }, () => ({ left: 0 }))).toThrow(TypeError)
    expect(() => on(Reserve, { name: 'key', key: () => 'k' }, () => ({ left: 0 }))).toThrow(TypeError)
    const options = { name: 'silent', catchUp: 'silent' } as const
    expect(() => on(Reserve, options, () => ({ left: 0 }))).toThrow(TypeError)
  })
})

describe('command', () => {
  const schema = z.object({})
  const declare = command as (...parts: unknown[]) => unknown
  it.each([
    {},
    { schema },
    { schema, result: {} },
    { schema, result: schema, failure: 'none' },
    { schema, result: schema, resultTtlMs: 0 },
    { schema, result: schema, resultTtlMs: Number.POSITIVE_INFINITY },
    { schema, result: schema, key: 'id' },
  ])('refuses the options %#', (options) => {
    expect(() => declare('shop.a', options)).toThrow(TypeError)
  })
})
