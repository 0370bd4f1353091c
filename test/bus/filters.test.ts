import { beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { on } from '../../src/bus/definitions.ts'
import { loadCompiler } from '../../src/bus/rules/application-rules.ts'
import { event } from '../../src/core/event.ts'
import { Aside, bench, Counted, Echoed, publish, upTo } from './support.ts'

// Loading the library of CEL takes real time, which virtual time does not wait for.
beforeAll(async () => {
  await loadCompiler()
})

describe('a handler with a filter', () => {
  it('gets the events whose type is named like its pattern', async () => {
    const b = bench()
    const seen: string[] = []
    const handler = on({ type: 'test.*' }, { name: 'handler' }, ({ type }) => {
      seen.push(type)
    })
    const running = await b.start({ handlers: [handler] })
    for (const type of [Counted, Echoed, Aside]) await running.publish(type, { key: 'a', n: 1 })
    await b.settle(running)
    expect(seen.toSorted()).toEqual(['test.aside', 'test.counted', 'test.echoed'])
  })

  it('gets the events whose content matches, in order', async () => {
    const b = bench()
    const seen: number[] = []
    const handler = on(
      { type: Counted, data: { n: [{ numeric: ['>', 2, '<=', 6] }] } },
      { name: 'handler' },
      ({ data }) => {
        seen.push(data.n)
      },
    )
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 9)
    await b.settle(running)
    expect(seen).toEqual(upTo(6, 3))
  })

  it('asks its condition in CEL only where everything else matches', async () => {
    const b = bench()
    const seen: string[] = []
    const handler = on(
      {
        type: 'test.counted',
        data: { key: [{ prefix: 'a' }] },
        when: 'event.data.n > 1 && event.data.missing == 1',
      },
      { name: 'handler' },
      () => {
        seen.push('never')
      },
    )
    const other = on(
      { when: "event.data.n == 2 && event.type.endsWith('counted')" },
      { name: 'other' },
      ({ id }) => {
        seen.push(id)
      },
    )
    const running = await b.start({ handlers: [handler, other] })
    await publish(running, 'a', 1, 3)
    await b.settle(running)
    expect(seen).toHaveLength(1)
  })

  it('is not waited for by a publisher whose event it passes over', async () => {
    const b = bench()
    const handler = on({ type: Counted, data: { n: [1] } }, { name: 'handler' }, () => {})
    const running = await b.start({ handlers: [handler] })
    await b.drive(running.publish(Counted, { key: 'a', n: 2 }, { wait: 'handled' }))
    await b.drive(running.publish(Counted, { key: 'a', n: 1 }, { wait: 'handled' }))
  })

  it('keeps its filter while a key is parked', async () => {
    const b = bench()
    const seen: number[] = []
    let fails = true
    const handler = on(
      { type: Counted, data: { n: [{ 'anything-but': [2] }] } },
      { name: 'handler', retry: { attempts: 3, baseMs: 10 } },
      ({ data }) => {
        if (fails) {
          fails = false
          throw new Error('once')
        }
        seen.push(data.n)
      },
    )
    const running = await b.start({ handlers: [handler] })
    await publish(running, 'a', 1, 4)
    await b.settle(running)
    expect(seen).toEqual([1, 3, 4])
  })

  it('works with a key of its own', async () => {
    const b = bench()
    const seen: number[] = []
    const handler = on(
      { type: Counted, data: { n: [{ numeric: ['>', 1] }] } },
      { name: 'handler', key: ({ n }) => `n${n % 2}` },
      ({ data }) => {
        seen.push(data.n)
      },
    )
    const running = await b.start({ handlers: [handler], partitions: 4 })
    await publish(running, 'a', 1, 4)
    await b.settle(running)
    expect(seen.toSorted()).toEqual([2, 3, 4])
  })

  it('is filtered after its events were upcast', async () => {
    const b = bench()
    const schema = z.object({ key: z.string(), total: z.number() })
    const key = (data: { key: string }) => data.key
    const Old = event('test.versioned', { schema: z.object({ key: z.string(), n: z.number() }), key })
    const New = event('test.versioned', {
      schema,
      key,
      version: 2,
      upcast: (data) => ({ key: (data as { key: string }).key, total: (data as { n: number }).n * 10 }),
    })
    const first = await b.start({ events: [Old], handlers: [] })
    await first.publish(Old, { key: 'a', n: 1 })
    await first.publish(Old, { key: 'a', n: 2 })
    await b.stop(first)
    const seen: number[] = []
    const handler = on(
      { type: New, data: { total: [20] } },
      { name: 'handler', from: 'start' },
      ({ data }) => {
        seen.push(data.total)
      },
    )
    const second = await b.start({ events: [], handlers: [handler] })
    await b.settle(second)
    expect(seen).toEqual([20])
  })

  it.each([
    ['a part that there is not', { typ: 'test.*' }],
    ['no part at all', {}],
    ['a type that is no pattern', { type: 5 }],
    ['a list that is empty', { type: [] }],
    ['a condition that is no text', { when: 5 }],
  ])('is refused with %s', (_, filter) => {
    expect(() => on(filter as object, { name: 'handler' }, () => {})).toThrow(TypeError)
  })

  it('is refused with a pattern that is none, and with its path', () => {
    const declare = () => on({ data: { n: [{ numeric: ['>>', 1] }] } }, { name: 'handler' }, () => {})
    expect(declare).toThrow(expect.objectContaining({ code: 'PATTERN_INVALID' }))
  })

  it('is refused where no event type of the application is named so, or its condition is no CEL', async () => {
    const nobody = on({ type: 'nobody.*' }, { name: 'handler' }, () => {})
    expect(() => app({ name: 'shop', events: [Counted], handlers: [nobody] })).toThrow(
      expect.objectContaining({ code: 'APP_INVALID', where: "handler 'handler'" }),
    )
    const wrong = on({ type: Counted, when: 'event.data.n >' }, { name: 'handler' }, () => {})
    await expect(bench().start({ handlers: [wrong] })).rejects.toMatchObject({ code: 'RULE_INVALID' })
  })
})
