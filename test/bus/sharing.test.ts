import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { on } from '../../src/bus/definitions.ts'
import { type Event, event } from '../../src/core/event.ts'
import * as codec from '../../src/core/event-codec.ts'
import { bench, Counted, publish, statusOf } from './support.ts'

vi.mock('../../src/core/event-codec.ts', { spy: true })

const Deep = event('test.deep', {
  schema: z.object({ list: z.array(z.object({ n: z.number() })) }),
  key: () => 'a',
})

describe('handlers of one group', () => {
  it('are given the same event, which was parsed once', async () => {
    const b = bench()
    const seen: Event[] = []
    const handlers = ['one', 'two', 'three'].map((name) =>
      on(Counted, { name }, (received) => seen.push(received)),
    )
    const process = await b.start({ handlers })
    vi.mocked(codec.decodeEvent).mockClear()
    await publish(process, 'a', 1)
    await b.settle(process)
    expect(seen).toHaveLength(3)
    expect(new Set(seen).size).toBe(1)
    expect(codec.decodeEvent).toHaveBeenCalledTimes(1)
  })

  it('cannot change the event for one another', async () => {
    const b = bench()
    const seen: unknown[] = []
    const vandal = on(Deep, { name: 'vandal', retry: { attempts: 1 } }, ({ data }) => {
      const [first] = data.list
      if (first !== undefined) first.n = 99
    })
    const victim = on(Deep, { name: 'victim' }, ({ data }) => seen.push(data))
    const process = await b.start({ handlers: [vandal, victim], events: [Deep] })
    await process.publish(Deep, { list: [{ n: 1 }] })
    await b.settle(process)
    expect(seen).toEqual([{ list: [{ n: 1 }] }])
    expect(await b.deadLetters()).toMatchObject([{ handler: 'vandal', error: { name: 'TypeError' } }])
  })

  it('share no cursor, no retries and no dead letters', async () => {
    const b = bench()
    const bad = on(Counted, { name: 'bad', retry: { attempts: 2 } }, () => {
      throw new Error('never')
    })
    const good = on(Counted, { name: 'good' }, () => {})
    const process = await b.start({ handlers: [bad, good] })
    await publish(process, 'a', 1, 5)
    await b.settle(process)
    expect((await statusOf(process, 'good')).counts).toMatchObject({ handled: 5, attempts: 5, failures: 0 })
    expect((await b.deadLetters()).map(({ handler }) => handler)).toEqual(Array(5).fill('bad'))
  })

  it('of a group of their own handle every event too', async () => {
    const b = bench()
    const seen: string[] = []
    const one = on(Counted, { name: 'one' }, ({ data }) => seen.push(`one ${data.n}`))
    const two = on(Counted, { name: 'two', group: 'apart' }, ({ data }) => seen.push(`two ${data.n}`))
    const process = await b.start({ handlers: [one, two] })
    await publish(process, 'a', 1, 2)
    await b.settle(process)
    expect(seen.toSorted()).toEqual(['one 1', 'one 2', 'two 1', 'two 2'])
    expect([...b.state('subscription/two/', { group: 'apart' }).keys()]).toHaveLength(1)
  })
})
