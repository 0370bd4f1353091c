/**
 * Goal: an owner finds the state that was committed and what is left to be forwarded, wherever the one before it has ended.
 * Method: owners on memory servers, with local states that are kept, lost, behind, ahead or of another course.
 */
import { describe, expect, it } from 'vitest'
import { MemoryServers, MemoryServersLog } from '../../../src/engines/memory/index.ts'
import type { JournaledClaim } from '../../../src/log/journal/journaled-claim.ts'
import type { ServerLimits } from '../../../src/log/journal/log-servers.ts'
import { takeClaim } from '../../../src/log/journal/take-claim.ts'
import { Tenures } from '../../../src/log/journal/tenures.ts'
import { MemoryStateStores } from '../../../src/log/memory-state-stores.ts'
import type { Change, Entry } from '../../../src/log/port.ts'
import { ManualRuntime } from '../../../src/testing/manual-runtime.ts'

const name = { group: 'shop', partition: 1 }
const at = { topic: 'orders', partition: 0 }
const bytes = (text: string) => new TextEncoder().encode(text)
const put = (key: string, text = key) => ({ key, value: bytes(text) })
const entry = (text: string): Entry => ({ ...at, value: bytes(text), timeMs: 1 })
const change = (parts: Partial<Change>): Change => ({ puts: [], deletes: [], appends: [], ...parts })

interface Machine {
  readonly stores?: MemoryStateStores
  readonly journalBytes?: number
  readonly limits?: ServerLimits
  readonly fault?: (step: string) => Error | undefined
}

function world() {
  const log = new MemoryServersLog()
  log.places.open(4)
  log.places.createTopic('orders', {})
  const runtime = new ManualRuntime()
  const take = async ({ stores = new MemoryStateStores(), journalBytes, ...more }: Machine = {}) => {
    const servers = new MemoryServers({ runtime, log, ...more })
    const claim = await takeClaim(name, 'member', {
      servers,
      stores,
      tenures: new Tenures(),
      begin: (call) => call(),
      hasTopic: async (topic) => topic === 'orders',
      ended: () => {},
      spawn: (task, run) => runtime.spawn(task, run),
      journalBytes: journalBytes ?? 1_000_000,
    })
    if (claim === undefined) throw new Error('somebody else was faster')
    return claim
  }
  const records = () => {
    const { records: found } = log.places.place(at).read(0, { records: 1_000, bytes: 1_000_000 })
    return found.map(({ value }) => new TextDecoder().decode(value))
  }
  const journal = () => log.journal(name)
  return { log, take, records, journal }
}

async function textsAt(claim: JournaledClaim, keys: readonly string[]) {
  return (await claim.get(keys)).map((value) => value && new TextDecoder().decode(value))
}

/** Fails the nth step of a name. */
function failing(step: string, nth = 1) {
  let left = nth
  return (happening: string) => {
    if (happening !== step) return undefined
    left -= 1
    return left === 0 ? new Error('no luck') : undefined
  }
}

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

describe('a former owner', () => {
  it('can neither commit nor forward again what its successor has forwarded', async () => {
    const { take, records, log } = world()
    const held: (() => void)[] = []
    const slow = new MemoryServers({
      runtime: new ManualRuntime(),
      log,
      steps: {
        step: (step) =>
          step === 'forward:apply' ? new Promise((resolve) => held.push(resolve)) : Promise.resolve(),
      },
    })
    const first = await takeClaim(name, 'zombie', {
      ...{ servers: slow, stores: new MemoryStateStores(), tenures: new Tenures(), journalBytes: 1_000_000 },
      ...{ begin: (call) => call(), hasTopic: async () => true, ended: () => {}, spawn: () => {} },
    })
    const paused = first?.commit(change({ appends: [entry('one'), entry('two')] }))
    await expect.poll(() => held.length).toBe(1)
    const next = await take()
    expect(records()).toEqual(['one', 'two'])
    await next.commit(change({ appends: [entry('three')] }))
    for (const go of held) go()
    await expect(paused).rejects.toMatchObject({ code: 'NOT_OWNER' })
    await expect(first?.commit(change({}))).rejects.toMatchObject({ code: 'NOT_OWNER' })
    expect(records()).toEqual(['one', 'two', 'three'])
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
