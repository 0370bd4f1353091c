import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { type Bench, bench, Counted, Echoed, shop, upTo } from './support.ts'

/** Keys that are spread over the four partitions. */
const keys = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']
const partitions = 4

/** All that the groups of the application keep in their partitions. */
function kept(b: Bench, groups = [shop]): unknown {
  return groups.map((group) => {
    return upTo(partitions - 1, 0).map((partition) => [
      ...b.state('subscription/', { partition, group }),
      ...b.state('state/', { partition, group }),
      ...b.state('parked/', { partition, group }),
    ])
  })
}

describe('a start that is refused leaves everything as it was', () => {
  const resident = on(Counted, { name: 'resident', from: 'start' }, () => {})

  it('for a handler that vanished with work in one partition: put back, it handles nothing twice', async () => {
    const b = bench()
    const handled: number[] = []
    let broken = true
    const handler = on(Counted, { name: 'handler', from: 'start', retry: { baseMs: 60_000 } }, ({ data }) => {
      if (broken && data.n === 3) throw new Error('later')
      handled.push(data.n)
    })
    const first = await b.start({ handlers: [resident, handler], partitions })
    for (const [index, key] of keys.entries()) await b.drive(first.publish(Counted, { key, n: index }))
    await b.until(() => handled.length === keys.length - 1)
    await b.stop(first)
    const before = kept(b)
    const without = b.start({ handlers: [resident], partitions })
    await expect(without).rejects.toMatchObject({ code: 'HANDLER_VANISHED' })
    expect(kept(b)).toEqual(before)
    broken = false
    const back = await b.start({ handlers: [resident, handler], partitions })
    await b.settle(back)
    expect(handled.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it('for a handler with a new name that does not say its former one: once it does, it goes on', async () => {
    const b = bench()
    const handled: number[] = []
    const named = (options: { readonly name: string; readonly renamedFrom?: string }) =>
      on(Counted, { ...options, retry: { attempts: 1 } }, ({ data }) => {
        handled.push(data.n)
      })
    const first = await b.start({ handlers: [named({ name: 'former' })], partitions })
    for (const [index, key] of keys.entries()) await b.drive(first.publish(Counted, { key, n: index }))
    await b.settle(first)
    await b.stop(first)
    const before = kept(b)
    const unsaid = b.start({ handlers: [named({ name: 'present' })], partitions })
    await expect(unsaid).rejects.toMatchObject({ code: 'FROM_REQUIRED' })
    expect(kept(b)).toEqual(before)
    const renamed = named({ name: 'present', renamedFrom: 'former' })
    const fresh = on(Counted, { name: 'fresh' }, () => {})
    const other = b.start({ handlers: [renamed, fresh], partitions })
    await expect(other).rejects.toMatchObject({ code: 'FROM_REQUIRED', where: "handler 'fresh'" })
    expect(kept(b)).toEqual(before)
    const said = await b.start({ handlers: [renamed], partitions })
    await b.settle(said)
    expect(handled.toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
  })

  it('whichever group of handlers is refused', async () => {
    const b = bench()
    const own = on(Counted, { name: 'own', from: 'start' }, () => {})
    const alone = on(Counted, { name: 'alone', from: 'start', group: 'others' }, () => {})
    const stays = on(Counted, { name: 'stays', from: 'start', group: 'others' }, () => {})
    const first = await b.start({ handlers: [resident, own, alone, stays], partitions })
    for (const [index, key] of keys.entries()) await b.drive(first.publish(Counted, { key, n: index }))
    await b.settle(first)
    await b.stop(first)
    const groups = [shop, 'others']
    const before = kept(b, groups)
    const fresh = on(Counted, { name: 'fresh', group: 'others' }, () => {})
    const refused = b.start({ handlers: [resident, stays, fresh], partitions })
    await expect(refused).rejects.toMatchObject({ code: 'FROM_REQUIRED' })
    expect(kept(b, groups)).toEqual(before)
  })

  it('and no handler has run', async () => {
    const b = bench()
    let runs = 0
    const eager = (from?: 'start') =>
      on(Counted, { name: 'eager', ...(from && { from }) }, () => {
        runs += 1
      })
    const first = await b.start({ partitions })
    for (const [index, key] of keys.entries()) await b.drive(first.publish(Counted, { key, n: index }))
    await b.drive(first.publish(Echoed, { key: 'a', n: 1 }))
    await b.stop(first)
    const late = on(Counted, { name: 'late', group: 'others' }, () => {})
    await expect(b.start({ handlers: [eager('start'), late], partitions })).rejects.toMatchObject({
      code: 'FROM_REQUIRED',
    })
    expect(runs).toBe(0)
    await b.settle(await b.start({ handlers: [eager('start')], partitions }))
    expect(runs).toBe(keys.length)
  })
})
