import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { TerminalError } from '../../src/core/errors.ts'
import { bench, Counted, Echoed, gate, publish, shop, statusOf } from './support.ts'

describe('a redrive', () => {
  it('handles a dead letter once more, and says so', async () => {
    const b = bench()
    let broken = true
    const seen: string[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2 } }, ({ data }, ctx) => {
      if (broken && data.n === 2) throw new Error('never')
      seen.push(`${data.n} ${ctx.redriven} ${ctx.attempt}`)
      ctx.emit(Echoed, data)
    })
    const process = await b.start({ handlers: [handler], partitions: 4 })
    await publish(process, 'a', 1, 3)
    await b.settle(process)
    const [letter] = await b.deadLetters()
    broken = false
    await b.redrive({ key: 'a', offset: letter?.offset ?? -1 })
    await b.settle(process)
    expect(seen).toEqual(['1 false 1', '3 false 1', '2 true 1'])
    expect(await b.numbers(Echoed)).toEqual([1, 3, 2])
    expect(await b.numbers(Counted)).toEqual([1, 2, 3])
    for (let partition = 0; partition < 4; partition += 1) {
      expect(b.state('parked/', { partition }).size).toBe(0)
    }
  })

  it('goes before what is parked of its key, in the order of offsets', async () => {
    const b = bench()
    let phase = 'dead letters'
    const handled: number[] = []
    const attempts = { attempts: 2, baseMs: 60_000 }
    const handler = on(Counted, { name: 'handler', retry: attempts }, ({ data }) => {
      if (phase === 'dead letters' || (phase === 'parked' && data.n > 3)) throw new Error(phase)
      handled.push(data.n)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 3)
    await b.until(async () => (await b.deadLetters()).length === 3, { stepMs: 1_000 })
    phase = 'parked'
    await publish(process, 'a', 4, 5)
    await b.quiet()
    await b.redrive(...[2, 0, 1].map((offset) => ({ key: 'a', offset })))
    phase = 'working'
    await b.settle(process)
    expect(handled).toEqual([1, 2, 3, 4, 5])
  })

  it('that fails for good is not tried again, and what is parked of its key goes on where it stood', async () => {
    const b = bench()
    const tried: string[] = []
    const attempts = { attempts: 1_000, baseMs: 60_000 }
    const handler = on(Counted, { name: 'handler', retry: attempts }, ({ data }, ctx) => {
      tried.push(`${data.n} ${ctx.redriven} ${ctx.attempt}`)
      if (data.n === 1) throw new TerminalError('never')
      if (data.n === 3 && ctx.attempt === 1) throw new Error('not yet')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    await publish(process, 'a', 3, 4)
    await b.quiet()
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(process)
    expect(tried).toEqual([
      '1 false 1',
      '2 false 1',
      '3 false 1',
      '1 true 1',
      '3 false 1',
      '3 false 2',
      '4 false 1',
    ])
  })

  it('does not disturb the attempt of its key that runs meanwhile', async () => {
    const b = bench()
    const running = gate()
    let broken = true
    const log: string[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, async ({ data }) => {
      if (broken) throw new Error('never')
      log.push(`${data.n} begins`)
      if (data.n === 2) await running.opened
      log.push(`${data.n} ends`)
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    broken = false
    await publish(process, 'a', 2, 4)
    await b.quiet()
    await b.redrive({ key: 'a', offset: 0 })
    await b.quiet()
    running.open()
    await b.settle(process)
    expect(log).toEqual([
      '2 begins',
      '2 ends',
      '1 begins',
      '1 ends',
      '3 begins',
      '3 ends',
      '4 begins',
      '4 ends',
    ])
    expect(b.state('parked/').size).toBe(0)
  })

  it('is not lost when it comes while the next parked event is looked for', async () => {
    const b = bench()
    let slow: { readonly opened: Promise<void> } | undefined
    let phase = 'dead letter'
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2, baseMs: 1_000 } }, ({ data }) => {
      if (phase !== 'working') throw new Error(phase)
      handled.push(data.n)
    })
    let looking = 0
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1)
    await b.settle(first)
    phase = 'parked'
    await publish(first, 'a', 2)
    await b.quiet()
    await b.stop(first)
    const process = await b.start({
      handlers: [handler],
      around: (engine) => {
        const read = engine.read.bind(engine)
        engine.read = async (...call) => {
          const [{ topic }] = call
          if (topic === shop) looking += 1
          if (topic === shop) await slow?.opened
          return read(...call)
        }
        return engine
      },
    })
    const shut = gate()
    slow = shut
    phase = 'working'
    await b.until(() => looking > 0)
    await b.redrive({ key: 'a', offset: 0 })
    await b.quiet()
    shut.open()
    await b.settle(process)
    expect(handled).toEqual([1, 2])
    expect(b.state('parked/').size).toBe(0)
  })

  it('lets a key that is held go on', async () => {
    const b = bench()
    let broken = true
    const handled: number[] = []
    const handler = on(
      Counted,
      { name: 'handler', retry: { attempts: 2 }, whenExhausted: 'park' },
      ({ data }) => {
        if (broken) throw new Error('never')
        handled.push(data.n)
      },
    )
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1, 3)
    await b.settle(first)
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(first)
    expect(handled).toEqual([])
    expect(await b.deadLetters()).toHaveLength(2)
    await b.stop(first)
    broken = false
    const second = await b.start({ handlers: [handler] })
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(second)
    expect(handled).toEqual([1, 2, 3])
    expect((await statusOf(second)).parked.keys).toBe(0)
  })

  it('that fails again gives another dead letter', async () => {
    const b = bench()
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2 } }, () => {
      throw new Error('never')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(process)
    expect(await b.deadLetters()).toMatchObject([
      { offset: 0, attempts: 2 },
      { offset: 0, attempts: 2 },
    ])
    expect(b.state('parked/').size).toBe(0)
  })

  it('survives a restart before it is executed', async () => {
    const b = bench()
    let broken = true
    let handled = 0
    const handler = on(Counted, { name: 'handler', retry: { attempts: 1 } }, () => {
      if (broken) throw new Error('never')
      handled += 1
    })
    const first = await b.start({ handlers: [handler] })
    await publish(first, 'a', 1)
    await b.settle(first)
    await b.stop(first)
    broken = false
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(await b.start({ handlers: [handler] }))
    expect(handled).toBe(1)
  })

  it('remembers what once gave before the event became a dead letter', async () => {
    const b = bench()
    let broken = true
    let runs = 0
    const handler = on(Counted, { name: 'handler', retry: { attempts: 2 } }, async (_, ctx) => {
      await ctx.once('label', () => {
        runs += 1
      })
      if (broken) throw new Error('after it')
    })
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await b.settle(process)
    broken = false
    await b.redrive({ key: 'a', offset: 0 })
    await b.settle(process)
    expect(runs).toBe(1)
    expect(b.state('once/').size).toBe(0)
  })

  it.each([
    ['a handler that is not there', { handler: 'nobody' }],
    ['a topic that is not there', { topic: 'nowhere' }],
    ['an offset that is not there', { offset: 1_000 }],
    ['an offset that is none', { offset: -1 }],
    ['an offset of another kind', { offset: 'one' as never }],
    ['an event of another key', { offset: 1 }],
  ])('of %s changes nothing, and the partition goes on', async (_, request) => {
    const b = bench()
    const handled: string[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(`${data.key}${data.n}`))
    const process = await b.start({ handlers: [handler] })
    await publish(process, 'a', 1)
    await publish(process, 'b', 1)
    await b.settle(process)
    await b.redrive({ key: 'a', ...request })
    await publish(process, 'a', 2)
    await b.settle(process)
    expect(handled).toEqual(['a1', 'b1', 'a2'])
    expect(b.state('parked/').size).toBe(0)
  })
})
