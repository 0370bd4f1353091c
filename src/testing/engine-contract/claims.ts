import assert from 'node:assert/strict'
import type { Claim } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { abortOf, change, put, rejectsWith, type TestMember, textsAt } from './world.ts'

const partitions = [0, 1, 2, 3]

/** Rules about who owns what: giving, exclusion, epochs and leaving. */
export function claimRules(suite: Suite): void {
  suite.chapter('claims', () => {
    givingRules(suite)
    exclusionRules(suite)
    leavingRules(suite)
  })
}

function givingRules(suite: Suite): void {
  suite.rule('a sole member is given every partition before it has joined', async (world) => {
    const given: Claim[] = []
    await world.engine.join('readers', { id: 'one' }, (claim) => given.push(claim))
    assert.deepEqual(given.map(({ partition }) => partition).sort(), partitions)
    for (const claim of given) {
      assert.equal(claim.group, 'readers')
      assert(Number.isSafeInteger(claim.epoch))
      assert.equal(claim.signal.aborted, false)
    }
  })

  suite.rule('groups own and keep their state apart', async (world) => {
    const [one, two] = [await world.join('one'), await world.join('two')]
    await one.claim(1).commit(change({ puts: [put('key', 'of one')] }))
    await two.claim(1).commit(change({ puts: [put('key', 'of two')] }))
    await two.claim(2).commit(change({ puts: [put('key', 'elsewhere')] }))
    assert.deepEqual(await textsAt(one.claim(1), ['key']), ['of one'])
    assert.deepEqual(await textsAt(two.claim(1), ['key']), ['of two'])
    assert.deepEqual(await textsAt(one.claim(2), ['key']), [undefined])
    assert.deepEqual(await textsAt(two.claim(2), ['key']), ['elsewhere'])
  })

  suite.rule('a group may have any name', async (world) => {
    const names = ['a', 'a/b', 'a.b', 'größe', 'a b']
    for (const name of names) {
      const member = await world.join(name)
      await member.claim(0).commit(change({ puts: [put('key', name)] }))
      await member.leave()
    }
    for (const name of names) {
      assert.deepEqual(await textsAt((await world.join(name)).claim(0), ['key']), [name])
    }
  })
}

function exclusionRules(suite: Suite): void {
  suite.rule('only the claim of the highest epoch of a partition can commit', async (world) => {
    const members = [await world.join('readers', 'one'), await world.join('readers', 'two')]
    await world.join('readers', 'three').then((member) => members.push(member))
    for (const partition of partitions) {
      const claims = members.flatMap((member) => claimsOn(member, partition))
      const epochs = claims.map(({ epoch }) => epoch)
      assert.equal(new Set(epochs).size, epochs.length, `two claims of one epoch on partition ${partition}`)
      const highest = Math.max(...epochs)
      for (const claim of claims) {
        const commit = claim.commit(change({ puts: [put('epoch', String(claim.epoch))] }))
        if (claim.epoch === highest) await commit
        else await rejectsWith('NOT_OWNER', commit)
      }
    }
  })

  suite.rule('a claim that was lost can read nothing, and its signal is aborted', async (world) => {
    const first = await world.join('readers')
    const lost = first.claim(2)
    await lost.commit(change({ puts: [put('key', 'value')] }))
    await first.leave()
    const second = await world.join('readers', 'two')
    assert(second.claim(2).epoch > lost.epoch)
    await abortOf(lost.signal)
    await rejectsWith('NOT_OWNER', lost.get(['key']))
    await rejectsWith('NOT_OWNER', lost.range({ from: '', to: 'z', limit: 10 }))
    await rejectsWith('NOT_OWNER', lost.commit(change({ puts: [put('key', 'stolen')] })))
    assert.deepEqual(await textsAt(second.claim(2), ['key']), ['value'])
  })

  suite.rule('an owner sees all that earlier owners committed', async (world) => {
    for (let turn = 0; turn < 4; turn += 1) {
      const member = await world.join('readers', `member-${turn}`)
      const claim = member.claim(3)
      const earlier = Array.from({ length: turn }, (_, index) => `turn-${index}`)
      assert.deepEqual(await textsAt(claim, earlier), earlier)
      await claim.commit(change({ puts: [put(`turn-${turn}`, `turn-${turn}`)] }))
      await member.leave()
    }
  })
}

function claimsOn(member: TestMember, partition: number): Claim[] {
  return member.claims.filter((claim) => claim.partition === partition)
}

function leavingRules(suite: Suite): void {
  suite.rule('leaving gives up every claim, and leaving twice is fine', async (world) => {
    const member = await world.join('readers')
    await Promise.all([member.leave(), member.leave()])
    await member.leave()
    for (const partition of partitions) {
      const claim = member.claim(partition)
      assert.equal(claim.signal.aborted, true)
      await rejectsWith('NOT_OWNER', claim.commit(change({ puts: [put('key', 'value')] })))
    }
  })

  suite.rule('what a member leaves is given to those who stay', async (world) => {
    const [stays, leaves] = [await world.join('readers', 'a'), await world.join('readers', 'b')]
    await leaves.leave()
    for (const partition of partitions) {
      const above = Math.max(-1, ...claimsOn(leaves, partition).map(({ epoch }) => epoch))
      const claim = await stays.next(partition, above)
      await claim.commit(change({ puts: [put('key', 'value')] }))
    }
  })

  suite.rule('epochs of a partition grow with every new claim', async (world) => {
    const epochs: number[] = []
    for (let turn = 0; turn < 4; turn += 1) {
      const member = await world.join('readers')
      epochs.push(member.claim(0).epoch)
      await member.leave()
    }
    for (const [index, epoch] of epochs.entries()) assert(index === 0 || epoch > (epochs[index - 1] ?? 0))
  })

  if (!suite.keepsData) return
  suite.rule('epochs grow, and state is kept, when the log is opened again', async (world) => {
    const before = (await world.join('readers')).claim(1)
    await before.commit(change({ puts: [put('key', 'value')] }))
    await world.reopen()
    const after = (await world.join('readers')).claim(1)
    assert(after.epoch > before.epoch)
    assert.deepEqual(await textsAt(after, ['key']), ['value'])
  })
}
