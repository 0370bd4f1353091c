import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'
import { type Bench, bench } from './support.ts'

const named = z.object({ id: z.string(), name: z.string() })
const first = event('test.named', { schema: named, key: ({ id }) => id })
const second = event('test.named', {
  version: 2,
  schema: z.object({ id: z.string(), given: z.string(), family: z.string().default('unknown') }),
  key: ({ id }) => id,
  upcast: (data) => {
    const { id, name } = named.parse(data)
    if (name === '') throw new Error('a name is missing')
    const [given, family] = name.split(' ')
    return { id, given, family }
  },
})

/** Publishes names as version 1, to a handler that handles them, or fails and holds the key. */
async function publishFirst(b: Bench, names: readonly string[], fails = false): Promise<void> {
  const handler = on(first, { name: 'before', whenExhausted: 'park', retry: { attempts: 1 } }, () => {
    if (fails) throw new Error('not yet')
  })
  const running = await b.start({ handlers: [handler], events: [] })
  for (const name of names) await running.publish(first, { id: 'a', name })
  await b.settle(running)
  await b.stop(running)
}

describe('events of older versions', () => {
  it('arrive upcast and held to the schema, those of now as they are', async () => {
    const b = bench()
    await publishFirst(b, ['Ada Lovelace', 'Prince'])
    const seen: unknown[] = []
    const handler = on(second, { name: 'after', from: 'start' }, (named) =>
      seen.push([named.data, named.dataversion]),
    )
    const running = await b.start({ handlers: [handler], events: [] })
    await running.publish(second, { id: 'a', given: 'Grace', family: 'Hopper' })
    await b.settle(running)
    expect(seen).toEqual([
      [{ id: 'a', given: 'Ada', family: 'Lovelace' }, 2],
      [{ id: 'a', given: 'Prince', family: 'unknown' }, 2],
      [{ id: 'a', given: 'Grace', family: 'Hopper' }, 2],
    ])
  })

  it('that cannot be upcast are dead letters with the reason, and the rest of the key goes on', async () => {
    const b = bench()
    await publishFirst(b, ['', 'Ada Lovelace'])
    const seen: unknown[] = []
    const handler = on(second, { name: 'after', from: 'start' }, ({ data }) => seen.push(data.given))
    const running = await b.start({ handlers: [handler], events: [] })
    await b.settle(running)
    expect(seen).toEqual(['Ada'])
    expect(await b.deadLetters()).toMatchObject([
      {
        handler: 'after',
        key: 'a',
        offset: 0,
        error: { code: 'EVENT_UNREADABLE' },
        event: { data: { name: '' } },
      },
    ])
  })

  it("that cannot be upcast hold their key where whenExhausted is 'park'", async () => {
    const b = bench()
    await publishFirst(b, ['Grace Hopper', '', 'Ada Lovelace'])
    const seen: unknown[] = []
    const handler = on(second, { name: 'after', from: 'start', whenExhausted: 'park' }, ({ data }) =>
      seen.push(data.given),
    )
    const running = await b.start({ handlers: [handler], events: [] })
    await b.settle(running)
    expect(seen).toEqual(['Grace'])
    expect(b.state('parked/after/').size).toBe(1)
  })

  it('that were held are upcast when they are handed back', async () => {
    const b = bench()
    await publishFirst(b, ['Ada Lovelace'], true)
    const seen: unknown[] = []
    const handler = on(second, { name: 'before' }, ({ data }) => seen.push(data.family))
    const running = await b.start({ handlers: [handler], events: [] })
    await b.redrive({ handler: 'before', key: 'a' })
    await b.settle(running)
    expect(seen).toEqual(['Lovelace'])
  })
})

describe('events of a newer version', () => {
  const publishSecond = async (b: Bench, fails: boolean) => {
    const handler = on(second, { name: 'handler', retry: { attempts: 1_000 } }, () => {
      if (fails) throw new Error('not yet')
    })
    const running = await b.start({ handlers: fails ? [handler] : [], events: [second] })
    await running.publish(second, { id: 'a', given: 'Ada', family: 'Lovelace' })
    if (fails) await b.until(() => b.state('parked/').size === 1)
    await b.stop(running)
  }

  it.each([
    ['that were never tried', false],
    ['that were parked by an application that could', true],
  ])('%s are dead letters, and are handled when they are handed back to one that can', async (_, parked) => {
    const b = bench()
    await publishSecond(b, parked)
    const old = on(first, { name: 'handler', from: 'start' }, () => {})
    const older = await b.start({ handlers: [old], events: [] })
    await b.settle(older)
    await b.stop(older)
    expect(await b.deadLetters()).toMatchObject([{ key: 'a', error: { code: 'EVENT_UNREADABLE' } }])
    const seen: unknown[] = []
    const handler = on(second, { name: 'handler' }, ({ data }, ctx) => seen.push([data.given, ctx.redriven]))
    const again = await b.start({ handlers: [handler], events: [] })
    await b.redrive({ handler: 'handler', key: 'a' })
    await b.settle(again)
    expect(seen).toEqual([['Ada', true]])
  })
})

describe('a version', () => {
  it('is a whole number, with an upcast from 2 on and only then', () => {
    const schema = z.string()
    for (const options of [{ version: 0 }, { version: 1.5 }, { version: 2 }, { upcast: () => '' }]) {
      expect(() => event('test.named', { schema, ...options })).toThrow(TypeError)
    }
  })

  it('is not taken from outside: what passes the door fits the schema of now', async () => {
    const b = bench()
    const seen: unknown[] = []
    const handler = on(second, { name: 'handler' }, ({ data }) => seen.push(data.given))
    const running = await b.start({ handlers: [handler], events: [] })
    const data = { id: 'a', given: 'Ada', family: 'Lovelace' }
    const outside = { specversion: '1.0' as const, id: '1', source: 'outside', type: 'test.named' }
    await running.accept([{ ...outside, dataversion: 1, data }])
    await b.settle(running)
    expect(seen).toEqual(['Ada'])
  })
})
