import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { bench, Counted, Echoed, publish, shop, statusOf, upTo } from './support.ts'

describe('a key that fails', () => {
  it('is parked, its later events wait and then come in order, and other keys go on', async () => {
    const b = bench()
    let broken = true
    const handled: string[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1_000 } }, ({ data }) => {
      if (broken && data.key === 'bad' && data.n === 2) throw new Error('not yet')
      handled.push(`${data.key}${data.n}`)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'bad', 1, 20)
    await publish(process, 'good', 1, 20)
    await b.until(() => handled.length === 21)
    expect(handled.filter((name) => name.startsWith('bad'))).toEqual(['bad1'])
    broken = false
    await b.settle(process)
    expect(handled.filter((name) => name.startsWith('bad'))).toEqual(upTo(20).map((n) => `bad${n}`))
    expect(handled.filter((name) => name.startsWith('good'))).toEqual(upTo(20).map((n) => `good${n}`))
  })

  it('goes on in order behind more events than are kept in memory, each of which fails once', async () => {
    const b = bench()
    const handled: string[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }, ctx) => {
      if (ctx.attempt === 1) throw new Error('not yet')
      handled.push(`${data.key}${data.n}`)
    })
    const process = await b.start({ handlers: [handler] })
    for (let n = 1; n <= 30; n += 1) await Promise.all(['a', 'b'].map((key) => publish(process, key, n)))
    await b.settle(process)
    for (const key of ['a', 'b'])
      expect(handled.filter((name) => name.startsWith(key))).toEqual(upTo(30).map((n) => `${key}${n}`))
    expect(b.state('parked/').size).toBe(0)
  })

  it('has one parked entry, however many of its events wait, and none when it is drained', async () => {
    const b = bench()
    let broken = true
    let handled = 0
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1_000 } }, () => {
      if (broken) throw new Error('not yet')
      handled += 1
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'bad', 1, 3_000)
    await b.until(async () => (await statusOf(process)).parked.records === 3_000)
    expect((await statusOf(process)).parked).toMatchObject({
      keys: 1,
      sample: [{ topic: shop, key: 'bad', first: 0, last: 2_999, count: 3_000, error: 'not yet' }],
    })
    await b.quiet()
    expect(b.state('parked/').size).toBe(1)
    expect(b.state('subscription/').get(`subscription/handler/${shop}`)).toEqual({ cursor: 3_000, done: [] })
    broken = false
    await b.settle(process)
    expect(handled).toBe(3_000)
    expect(b.state('parked/').size).toBe(0)
  })

  it('stays parked over a restart, with its attempts', async () => {
    const b = bench()
    const attempts: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 10, baseMs: 60_000 } }, (_, ctx) => {
      attempts.push(ctx.attempt)
      if (ctx.attempt < 4) throw new Error('not yet')
    })
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1)
    await b.until(() => attempts.length === 2, { stepMs: 1_000 })
    await b.stop(first)
    const second = await b.start({ handlers: [handler] })
    await b.until(() => attempts.length === 4, { stepMs: 1_000 })
    await b.settle(second)
    expect(attempts).toEqual([1, 2, 3, 4])
  })

  it('is tried again after a delay drawn below a bound that doubles', async () => {
    const b = bench()
    const at: number[] = []
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 6, baseMs: 1_000, maxMs: 4_000 } },
      () => {
        at.push(b.runtime.now())
        throw new Error('never')
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.until(() => at.length === 6, { stepMs: 10 })
    const waits = at.slice(1).map((time, index) => time - (at[index] ?? 0))
    for (const [index, bound] of [1_000, 2_000, 4_000, 4_000, 4_000].entries()) {
      expect(waits[index]).toBeLessThanOrEqual(bound + 10)
    }
    expect(new Set(waits).size).toBeGreaterThan(1)
    await b.settle(process)
  })
})

describe('exhausted attempts', () => {
  it('give a dead letter with the whole history', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 3 } }, (_, ctx) => {
      throw new RangeError(`failure ${ctx.attempt}`)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 7)
    await b.settle(process)
    const [letter, ...more] = await b.deadLetters()
    expect(more).toEqual([])
    expect(letter).toMatchObject({
      handler: 'handler',
      topic: shop,
      partition: 0,
      offset: 0,
      key: 'a',
      attempts: 3,
      error: { name: 'RangeError', message: 'failure 3' },
      event: { type: Counted.type, data: { key: 'a', n: 7 } },
    })
    expect(letter?.failures.map(({ attempt, error }) => `${attempt} ${error.message}`)).toEqual([
      '1 failure 1',
      '2 failure 2',
      '3 failure 3',
    ])
    for (const { atMs } of letter?.failures ?? []) expect(atMs).toBeGreaterThan(0)
  })

  it('let the key go on behind the dead letter unless it says otherwise', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2 } }, ({ data }) => {
      if (data.n === 2) throw new Error('never')
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 5)
    await b.settle(process)
    expect(handled).toEqual([1, 3, 4, 5])
    expect((await b.deadLetters()).map(({ offset }) => offset)).toEqual([1])
    expect(b.state('parked/').size).toBe(0)
  })

  it("hold the key with whenExhausted: 'park', also over a restart, while others go on", async () => {
    const b = bench()
    const handled: string[] = []
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 2 }, whenExhausted: 'park' },
      ({ data }) => {
        if (data.key === 'bad' && data.n === 1) throw new Error('never')
        handled.push(`${data.key}${data.n}`)
      },
    )
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'bad', 1, 3)
    await publish(first, 'good', 1, 2)
    await b.settle(first)
    await b.stop(first)
    const second = await b.start({ handlers: [handler] })
    await publish(second, 'bad', 4)
    await publish(second, 'good', 3)
    await b.settle(second)
    await b.pass(3_600_000)
    expect(handled).toEqual(['good1', 'good2', 'good3'])
    expect(await b.deadLetters()).toHaveLength(1)
    const { parked } = await statusOf(second)
    expect(parked).toMatchObject({ keys: 1, records: 4, sample: [{ key: 'bad', first: 0, count: 4 }] })
    expect(parked.sample[0]).not.toHaveProperty('dueMs')
  })

  it('come at once with a TerminalError', async () => {
    const b = bench()
    let attempts = 0
    const handler = on(Counted, { name: 'handler' }, () => {
      attempts += 1
      throw new TerminalError('no use')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(attempts).toBe(1)
    expect(await b.deadLetters()).toMatchObject([{ attempts: 1, error: { code: 'TERMINAL' } }])
  })
})

describe('a record that cannot be decoded', () => {
  it('goes to the dead letters, and the rest is handled', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.append(shop, new TextEncoder().encode('{ not json'))
    await publish(process, 'a', 2)
    await b.settle(process)
    expect(handled).toEqual([1, 2])
    expect(await b.deadLetters()).toMatchObject([
      { offset: 1, event: null, error: { code: 'EVENT_INVALID' } },
    ])
  })

  it('does not come back after a restart', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler' }, () => {})
    const first = await b.start({ handlers: [handler] })
    await b.append(shop, new Uint8Array([0xff]))
    await b.settle(first)
    await b.stop(first)
    await b.settle(await b.start({ handlers: [handler] }))
    expect(await b.deadLetters()).toHaveLength(1)
  })

  it('does not stop the draining of a parked key', async () => {
    const b = bench()
    let broken = true
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1_000 } }, ({ data }) => {
      if (broken) throw new Error('not yet')
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.quiet()
    await b.append(shop, new Uint8Array([0xff]))
    await publish(process, 'a', 2)
    await b.quiet()
    broken = false
    await b.settle(process)
    expect(handled).toEqual([1, 2])
    expect(await b.deadLetters()).toHaveLength(1)
  })
})

describe('a failed attempt', () => {
  it('leaves nothing: no emit, no delayed emit, no state', async () => {
    const b = bench()
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 2 }, state: { last: Counted.schema } },
      async ({ data }, ctx) => {
        ctx.emit(Echoed, { key: data.key, n: ctx.attempt })
        ctx.emit(Echoed, { key: data.key, n: 10 + ctx.attempt }, { delay: 5_000 })
        if (ctx.attempt === 2) expect(await ctx.state.last.get()).toBeUndefined()
        ctx.state.last.set({ key: data.key, n: ctx.attempt })
        if (ctx.attempt === 1) throw new Error('after all of it')
      },
    )
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    await b.pass(10_000)
    expect(await b.numbers(Echoed)).toEqual([2, 12])
    expect(await process.read(handler, 'a')).toEqual({ last: { key: 'a', n: 2 } })
    expect(b.state('timer/').size).toBe(0)
  })

  it('is one whose emitted data does not match its schema', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, (_, ctx) => {
      ctx.emit(Echoed, { key: 'a', n: 1 })
      ctx.emit(Echoed, { key: 'a', n: 'two' as never })
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(await b.numbers(Echoed)).toEqual([])
    expect(await b.deadLetters()).toMatchObject([{ error: { code: 'DATA_INVALID' } }])
  })
})
