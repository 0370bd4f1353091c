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
  /** What three handlers are given of one event that is published by the first or by the second process. */
  async function seenByThree(publisher: 'itself' | 'another'): Promise<Event[]> {
    const b = bench()
    const seen: Event[] = []
    const handlers = ['one', 'two', 'three'].map((name) =>
      on(Counted, { name }, (received) => seen.push(received)),
    )
    const process = await b.start({ handlers })
    const other = await b.start({ handlers: [] })
    vi.mocked(codec.decodeEvent).mockClear()
    await publish(publisher === 'itself' ? process : other, 'a', 1)
    await b.settle(process)
    expect(seen).toHaveLength(3)
    return seen
  }

  it('are given the same event, which was parsed once', async () => {
    expect(new Set(await seenByThree('another')).size).toBe(1)
    expect(codec.decodeEvent).toHaveBeenCalledTimes(1)
  })

  it('are given the event that was published here without its being parsed, equal to what is stored', async () => {
    const seen = await seenByThree('itself')
    expect(new Set(seen).size).toBe(1)
    expect(codec.decodeEvent).not.toHaveBeenCalled()
    expect(seen[0]).toStrictEqual((await seenByThree('another'))[0])
  })

  it('lose nothing of what others read on while they are paused', async () => {
    const b = bench()
    let broken = true
    const handled = { failing: 0, other: 0 }
    const failing = on(Counted, { name: 'failing', retry: { attempts: 1_000 } }, () => {
      if (broken) throw new Error('not yet')
      handled.failing += 1
    })
    const other = on(Counted, { name: 'other' }, () => {
      handled.other += 1
    })
    const process = await b.start({ handlers: [failing, other] })
    for (let n = 0; n < 100; n += 1) await publish(process, `key ${n}`, 1)
    await b.until(async () => (await statusOf(process, 'failing')).paused)
    for (let n = 100; n < 400; n += 1) await publish(process, `key ${n}`, 1)
    await b.until(() => handled.other === 400)
    broken = false
    await b.settle(process)
    expect(handled).toEqual({ failing: 400, other: 400 })
  })

  it('see what was stored, whatever its publisher does to the data meanwhile', async () => {
    const b = bench()
    const seen: unknown[] = []
    const Any = event('test.any', { schema: z.any() })
    const process = await b.start({
      handlers: [on(Any, { name: 'one' }, ({ data }) => seen.push(data))],
      events: [Any],
    })
    const data = { list: [{ n: 1, nothing: undefined }] }
    const published = process.publish(Any, data)
    data.list.push({ n: 2, nothing: undefined })
    await published
    await b.settle(process)
    expect(seen).toStrictEqual([{ list: [{ n: 1 }] }])
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
