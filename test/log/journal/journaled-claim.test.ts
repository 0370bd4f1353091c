/**
 * Goal: what an owner commits holds once and in order, also when it is paused, fails in the midst, or has been replaced.
 * Method: owners on memory servers, whose steps fail or are held.
 */
import { describe, expect, it } from 'vitest'
import { Tenures } from '../../../src/log/journal/tenures.ts'
import { change, entry, failing, holding, name, put, textsAt, world } from './claim-world.ts'

describe('a former owner', () => {
  it.each(['mark:apply', 'forward:apply'])(
    'that was paused at %s cannot forward again what its successor has forwarded',
    async (step) => {
      const { take, records } = world()
      const { steps, until, letGo } = holding(step)
      const first = await take({ steps })
      const paused = first.commit(change({ appends: [entry('one'), entry('two')] }))
      paused.catch(() => {})
      await until(1)
      const next = await take()
      expect(records()).toEqual(['one', 'two'])
      await next.commit(change({ appends: [entry('three')] }))
      letGo()
      await expect(paused).rejects.toMatchObject({ code: 'NOT_OWNER' })
      await expect(first.commit(change({}))).rejects.toMatchObject({ code: 'NOT_OWNER' })
      expect(records()).toEqual(['one', 'two', 'three'])
    },
  )

  it('that was paused before its commit was in the journal cannot commit', async () => {
    const { take, records } = world()
    const { steps, until, letGo } = holding('journal:apply')
    const taking = take({ steps })
    await until(1)
    letGo()
    const first = await taking
    const paused = first.commit(change({ puts: [put('a')], appends: [entry('one')] }))
    paused.catch(() => {})
    await until(1)
    const next = await take()
    letGo()
    await expect(paused).rejects.toMatchObject({ code: 'NOT_OWNER' })
    expect(await textsAt(next, ['a'])).toEqual([undefined])
    expect(records()).toEqual([])
  })
})

describe('commits that follow one another without waiting', () => {
  it('all fail behind one that was not forwarded, hold all the same, and are forwarded in order', async () => {
    const { take, records } = world()
    const first = await take({ fault: failing('forward:apply') })
    const outcomes = await Promise.allSettled(
      ['one', 'two', 'three'].map((text) =>
        first.commit(change({ puts: [put(text)], appends: [entry(text)] })),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    const before = records()
    const next = await take()
    const texts = await textsAt(next, ['one', 'two', 'three'])
    const held = texts.filter((text) => text !== undefined)
    expect(before).toEqual([])
    expect(held.length).toBeGreaterThan(1)
    expect(records()).toEqual(held)
  })

  it('are not seen before their effects', async () => {
    const { take, records } = world()
    const { steps, until, letGo } = holding('forward:apply')
    const claim = await take({ steps })
    const committing = claim.commit(change({ puts: [put('a')], appends: [entry('one')] }))
    await until(1)
    expect(await textsAt(claim, ['a'])).toEqual([undefined])
    expect(records()).toEqual([])
    letGo()
    await committing
    expect(await textsAt(claim, ['a'])).toEqual(['a'])
  })

  it('are seen by who reads what comes last of them', async () => {
    const { take, records } = world()
    const { steps, until, letGo } = holding('forward:apply')
    const claim = await take({ steps })
    const appends = [{ ...entry('reply'), comesLast: true }, entry('one')]
    const committing = claim.commit(change({ puts: [put('a')], appends }))
    await until(1)
    expect([await textsAt(claim, ['a']), records()]).toEqual([[undefined], []])
    letGo()
    await until(1)
    expect([await textsAt(claim, ['a']), records()]).toEqual([['a'], ['one']])
    letGo()
    await committing
    expect(records()).toEqual(['one', 'reply'])
  })

  it('what comes last is forwarded behind the rest, and nothing twice where that breaks off', async () => {
    for (const nth of [1, 2, 3]) {
      const { take, records } = world()
      const first = await take({ fault: failing('forward:apply', nth) })
      const appends = [{ ...entry('reply'), comesLast: true }, entry('one'), entry('two')]
      await expect(first.commit(change({ appends }))).rejects.toThrow('no luck')
      await take()
      expect(records()).toEqual(['one', 'two', 'reply'])
    }
  })
})

describe('the state of a claim', () => {
  it('is used by one owner of a process after the other, the later ones first to know', async () => {
    const tenures = new Tenures()
    const first = await tenures.begin(name, 3)
    let began = false
    const waiting = tenures.begin(name, 5).then((tenure) => {
      began = true
      return tenure
    })
    expect(first?.revoked.aborted).toBe(true)
    expect(await tenures.begin(name, 4)).toBeUndefined()
    expect(began).toBe(false)
    first?.end()
    const second = await waiting
    expect(second?.revoked.aborted).toBe(false)
    second?.end()
    expect((await tenures.begin(name, 1))?.epoch).toBe(1)
  })
})

describe('a commit', () => {
  it('with an entry that is too large for the servers is COMMIT_TOO_LARGE, with no effect', async () => {
    const { take, records, journal } = world()
    const claim = await take({ limits: { maxJournalBytes: 1_000, maxEntryBytes: 10 } })
    const appends = [entry('small'), entry('much too large')]
    const failed = claim.commit(change({ puts: [put('a')], appends }))
    await expect(failed).rejects.toMatchObject({ code: 'COMMIT_TOO_LARGE' })
    expect(journal().values).toHaveLength(1)
    expect(records()).toEqual([])
  })

  it('to a topic that was deleted meanwhile holds without what it appends there', async () => {
    const { take, records, log } = world()
    const first = await take({ fault: failing('forward:apply') })
    await expect(first.commit(change({ puts: [put('a')], appends: [entry('one')] }))).rejects.toThrow(
      'no luck',
    )
    log.deleteTopic('orders')
    const next = await take()
    expect(await textsAt(next, ['a'])).toEqual(['a'])
    log.places.createTopic('orders', {})
    expect(records()).toEqual([])
  })

  it('is seen with its needs by who trims, whoever tells them', async () => {
    const { take, log } = world()
    const first = await take({ fault: failing('needs:apply') })
    await expect(first.commit(change({ needs: { orders: 5 } }))).rejects.toThrow('no luck')
    expect(log.neededAt({ topic: 'orders', partition: 1 })).toBeUndefined()
    await take()
    expect(log.neededAt({ topic: 'orders', partition: 1 })).toBe(5)
    log.tellNeeds(name, { orders: 9 }, 1)
    expect(log.neededAt({ topic: 'orders', partition: 1 })).toBe(5)
  })
})
