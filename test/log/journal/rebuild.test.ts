/**
 * Goal: an owner finds the state that was committed and what is left to be forwarded, wherever the one before it has ended.
 * Method: owners on memory servers, with local states that are kept, lost, behind, ahead or of another course.
 */
import { describe, expect, it } from 'vitest'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import { change, entry, failing, put, textsAt, world } from './claim-world.ts'

describe('a new owner', () => {
  it('finds what was committed, with its local state or without', async () => {
    const { take, records } = world()
    const stores = new MemoryStateStores()
    const first = await take({ stores })
    await first.commit(change({ puts: [put('a'), put('b')], appends: [entry('one')] }))
    await first.commit(change({ puts: [put('c')], deletes: ['a'] }))
    for (const machine of [{}, { stores }]) {
      const next = await take(machine)
      expect(await textsAt(next, ['a', 'b', 'c'])).toEqual([undefined, 'b', 'c'])
    }
    expect(records()).toEqual(['one'])
  })

  it('reads on from the checkpoint, and the journal before it is gone', async () => {
    const { take, journal } = world()
    const first = await take({ journalBytes: 1_000 })
    for (let index = 0; index < 40; index += 1) {
      await first.commit(change({ puts: [put(`key-${index % 7}`, `${index}`)] }))
    }
    first.lose()
    await first.end()
    expect(journal().checkpoint).toBeDefined()
    expect(journal().values.length).toBeLessThan(10)
    const next = await take()
    expect(await textsAt(next, ['key-0', 'key-4', 'key-6'])).toEqual(['35', '39', '34'])
  })

  it('brings a local state up that was left behind the checkpoint', async () => {
    const { take } = world()
    const stores = new MemoryStateStores()
    const first = await take({ stores })
    await first.commit(change({ puts: [put('gone'), put('kept')] }))
    const second = await take({ journalBytes: 1 })
    await second.commit(change({ deletes: ['gone'], puts: [put('new')] }))
    second.lose()
    await second.end()
    expect(await textsAt(await take({ stores }), ['gone', 'kept', 'new'])).toEqual([undefined, 'kept', 'new'])
  })

  it.each([1, 2, 3])(
    'forwards what is missing, once, where forwarding broke off at entry %i',
    async (nth) => {
      const { take, records } = world()
      const first = await take({ fault: failing('forward:apply', nth) })
      const appends = [entry('one'), entry('two'), entry('three')]
      await expect(first.commit(change({ puts: [put('a')], appends }))).rejects.toThrow('no luck')
      const next = await take()
      expect(records()).toEqual(['one', 'two', 'three'])
      expect(await textsAt(next, ['a'])).toEqual(['a'])
      await next.commit(change({ appends: [entry('four')] }))
      await take()
      expect(records()).toEqual(['one', 'two', 'three', 'four'])
    },
  )

  it('takes a commit whose acknowledgement was lost for one that holds', async () => {
    const { take, records } = world()
    const first = await take({ fault: failing('journal:acknowledge', 2) })
    const doubtful = first.commit(change({ puts: [put('a')], appends: [entry('one')] }))
    await expect(doubtful).rejects.toThrow('no luck')
    expect(await textsAt(await take(), ['a'])).toEqual(['a'])
    expect(records()).toEqual(['one'])
  })

  it('leaves out a commit of which only some pieces are there', async () => {
    const { take, records, journal } = world()
    const limits = { maxJournalBytes: 100, maxEntryBytes: 1_000 }
    const first = await take({ limits, fault: failing('journal:apply', 4) })
    const large = change({ puts: [put('a', 'x'.repeat(500))], appends: [entry('one')] })
    await expect(first.commit(large)).rejects.toThrow('no luck')
    expect(journal().values).toHaveLength(3)
    const next = await take({ limits })
    expect(await textsAt(next, ['a'])).toEqual([undefined])
    await next.commit(large)
    expect(await textsAt(await take(), ['a'])).toEqual(['x'.repeat(500)])
    expect(records()).toEqual(['one'])
  })

  it('does not use a local state of another course of the journal', async () => {
    const [lost, kept] = [world(), world()]
    const stores = new MemoryStateStores()
    const before = await lost.take({ stores })
    await before.commit(change({ puts: [put('lost'), put('a', 'of the other')] }))
    const first = await kept.take()
    await first.commit(change({ puts: [put('a', 'mine')] }))
    await first.commit(change({ puts: [put('b')] }))
    expect(await textsAt(await kept.take({ stores }), ['lost', 'a', 'b'])).toEqual([undefined, 'mine', 'b'])
  })

  it('does not use a local state that is ahead of the journal', async () => {
    const [lost, kept] = [world(), world()]
    const stores = new MemoryStateStores()
    const before = await lost.take({ stores })
    for (let index = 0; index < 5; index += 1) await before.commit(change({ puts: [put('lost')] }))
    await kept.take()
    expect(await textsAt(await kept.take({ stores }), ['lost'])).toEqual([undefined])
  })

  it('says that a journal with a gap is damaged', async () => {
    const { take, journal } = world()
    const first = await take()
    for (let index = 0; index < 5; index += 1) await first.commit(change({ puts: [put('a')] }))
    journal().trim(journal().values[2]?.sequence ?? 0)
    await expect(take()).rejects.toMatchObject({ code: 'LOG_DAMAGED' })
  })
})
