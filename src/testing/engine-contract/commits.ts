import assert from 'node:assert/strict'
import type { Suite } from './suite.ts'
import { abortOf, assertCloneable, change, put, rejectsWith, textsAt, type World } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }

/** Rules about `commit`: wholeness, order, and what follows a failure. */
export function commitRules(suite: Suite): void {
  suite.chapter('commits', () => {
    wholenessRules(suite)
    orderRules(suite)
    failureRules(suite)
  })
}

function wholenessRules(suite: Suite): void {
  suite.rule('a commit holds as a whole: puts, deletes and appends', async (world) => {
    const claim = (await world.join('makers')).claim(3)
    await claim.commit(change({ puts: [put('old', 'value'), put('kept', 'value')] }))
    const appended = await claim.commit({
      puts: [put('new', 'value')],
      deletes: ['old', 'never there'],
      appends: [world.entry(at, 1), world.entry(elsewhere, 2), world.entry(at, 3)],
    })
    assertCloneable(appended)
    assert.deepEqual(
      appended.map(({ topic, partition, duplicate }) => ({ topic, partition, duplicate })),
      [at, elsewhere, at].map((place) => ({ ...place, duplicate: false })),
    )
    assert.deepEqual(await textsAt(claim, ['old', 'kept', 'new']), [undefined, 'value', 'value'])
    assert.deepEqual(await world.dataIn(at), [1, 3])
    assert.deepEqual(await world.dataIn(elsewhere), [2])
  })

  suite.rule('a commit that fails changes nothing', async (world) => {
    const member = await world.join('makers')
    const claim = member.claim(3)
    await claim.commit(change({ puts: [put('kept', 'before')] }))
    await rejectsWith('TOPIC_UNKNOWN', claim.commit(failing(world)))
    const anew = await member.next(3, claim.epoch)
    assert.deepEqual(await textsAt(anew, ['kept', 'new']), ['before', undefined])
    assert.deepEqual(await world.dataIn(at), [])
  })

  suite.rule('an empty commit is fine', async (world) => {
    const claim = (await world.join('makers')).claim(0)
    assert.deepEqual(await claim.commit(change({})), [])
    assert.equal(claim.signal.aborted, false)
  })

  suite.rule('times of records of a commit never fall', async (world) => {
    const claim = (await world.join('makers')).claim(0)
    await world.append(at, 1, { timeMs: 2000 })
    await claim.commit(change({ appends: [world.entry(at, 2, { timeMs: 1000 })] }))
    const third = await world.append(at, 3, { timeMs: 2001 })
    assert.equal(await world.engine.offsetAt(at, 2001), third.offset)
  })

  if (!suite.keepsData) return
  suite.rule('what was committed is there when the log is opened again', async (world) => {
    const claim = (await world.join('makers')).claim(3)
    await claim.commit(change({ puts: [put('kept', 'value'), put('gone', 'value')] }))
    await claim.commit(change({ deletes: ['gone'], appends: [world.entry(at, 'emitted')] }))
    await world.reopen()
    const after = (await world.join('makers')).claim(3)
    assert.deepEqual(await textsAt(after, ['kept', 'gone']), ['value', undefined])
    assert.deepEqual(await world.dataIn(at), ['emitted'])
  })
}

function orderRules(suite: Suite): void {
  suite.rule('commits of one claim apply in call order, without waiting for one another', async (world) => {
    const claim = (await world.join('makers')).claim(3)
    const count = 50
    const order: number[] = []
    const commits = Array.from({ length: count }, (_, index) =>
      claim
        .commit(change({ puts: [put('last', String(index))], appends: [world.entry(at, index)] }))
        .then(() => order.push(index)),
    )
    await Promise.all(commits)
    const inOrder = Array.from({ length: count }, (_, index) => index)
    assert.deepEqual(await world.dataIn(at), inOrder)
    assert.deepEqual(await textsAt(claim, ['last']), [String(count - 1)])
    assert.deepEqual(order, inOrder, 'acknowledged in another order')
  })

  suite.rule('a later commit overrides an earlier one, in either direction', async (world) => {
    const claim = (await world.join('makers')).claim(3)
    await Promise.all([
      claim.commit(change({ puts: [put('deleted', 'value'), put('put', 'value')] })),
      claim.commit(change({ deletes: ['deleted', 'put'] })),
      claim.commit(change({ puts: [put('put', 'again')] })),
    ])
    assert.deepEqual(await textsAt(claim, ['deleted', 'put']), [undefined, 'again'])
  })

  suite.rule('commits of many claims at once all hold', async (world) => {
    const members = await Promise.all(['a', 'b', 'c'].map((group) => world.join(group)))
    const claims = members.flatMap(({ claims: given }) => given)
    await Promise.all(
      claims.map((claim) =>
        claim.commit(change({ puts: [put('key', claim.group)], appends: [world.entry(at, claim.group)] })),
      ),
    )
    for (const claim of claims) assert.deepEqual(await textsAt(claim, ['key']), [claim.group])
    assert.equal((await world.dataIn(at)).length, claims.length)
  })
}

function failureRules(suite: Suite): void {
  suite.rule('after a commit has failed every later one fails, even one on its way', async (world) => {
    const member = await world.join('makers')
    const claim = member.claim(3)
    const outcomes = await Promise.allSettled([
      claim.commit(change({ puts: [put('step', 'before')], appends: [world.entry(at, 'before')] })),
      claim.commit(failing(world)),
      claim.commit(change({ puts: [put('step', 'after')], appends: [world.entry(at, 'after')] })),
      claim.commit(change({ puts: [put('other', 'after')] })),
    ])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['fulfilled', 'rejected', 'rejected', 'rejected'],
    )
    await rejectsWith('NOT_OWNER', claim.commit(change({ puts: [put('other', 'later')] })))
    const anew = await member.next(3, claim.epoch)
    assert.deepEqual(await textsAt(anew, ['step', 'other']), ['before', undefined])
    assert.deepEqual(await world.dataIn(at), ['before'])
  })

  suite.rule('a claim whose commit failed is lost, and the partition is given anew', async (world) => {
    const member = await world.join('makers')
    const claim = member.claim(3)
    await rejectsWith('TOPIC_UNKNOWN', claim.commit(failing(world)))
    await abortOf(claim.signal)
    await rejectsWith('NOT_OWNER', claim.get(['key']))
    const anew = await member.next(3, claim.epoch)
    assert.equal(anew.signal.aborted, false)
    await anew.commit(change({ puts: [put('key', 'value')] }))
    assert.deepEqual(await textsAt(anew, ['key']), ['value'])
  })

  suite.rule('the membership has a renewal until the partition is given anew', async (world) => {
    const member = await world.join('makers')
    const claim = member.claim(3)
    assert.equal(member.membership?.renewal, undefined)
    let renewal: Promise<void> | undefined
    claim.signal.addEventListener('abort', () => {
      renewal = member.membership?.renewal
    })
    await rejectsWith('TOPIC_UNKNOWN', claim.commit(failing(world)))
    await abortOf(claim.signal)
    assert(renewal !== undefined, 'the claim ended, and nobody could know that it is given anew')
    await renewal
    assert(member.claim(3).epoch > claim.epoch)
    assert.equal(member.membership?.renewal, undefined)
  })

  suite.rule('a commit that fails does not touch other claims', async (world) => {
    const member = await world.join('makers')
    await rejectsWith('TOPIC_UNKNOWN', member.claim(3).commit(failing(world)))
    await member.claim(2).commit(change({ puts: [put('key', 'value')] }))
    assert.equal(member.claim(2).signal.aborted, false)
  })
}

/** A change of which a part cannot be done. */
function failing(world: World) {
  return change({
    puts: [put('new', 'value'), put('kept', 'after')],
    deletes: ['kept too'],
    appends: [world.entry(at, 'never'), world.entry({ topic: 'nowhere', partition: 0 }, 'never')],
  })
}
