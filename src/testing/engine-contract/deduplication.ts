import assert from 'node:assert/strict'
import type { Suite } from './suite.ts'
import { change, put, rejectsWith, textsAt } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }
const minuteMs = 60_000

/** Rules about entries that bear a `deduplicationId`. */
export function deduplicationRules(suite: Suite): void {
  suite.chapter('deduplication', () => {
    suite.rule('entries without a deduplicationId are always stored', async (world) => {
      const { deduplicationId: _id, ...entry } = world.entry(at, 'same', { id: 'one' })
      for (let copy = 0; copy < 2; copy += 1) {
        const [appended] = await world.engine.append([{ ...entry, value: new Uint8Array(entry.value) }])
        assert.equal(appended?.duplicate, false)
      }
      assert.deepEqual(await world.dataIn(at), ['same', 'same'])
    })
    if (!suite.engine.capabilities.appendDeduplicates) return storingRules(suite)
    repeatRules(suite)
    togetherRules(suite)
    reuseRules(suite)
    windowRules(suite)
    commitRules(suite)
  })
}

function storingRules(suite: Suite): void {
  suite.rule('a repeated id is stored again, whatever its content', async (world) => {
    const first = await world.append(at, 'first', { id: 'one' })
    const again = await world.append(at, 'first', { id: 'one' })
    const other = await world.append(at, 'other', { id: 'one' })
    assert.deepEqual([first.duplicate, again.duplicate, other.duplicate], [false, false, false])
    assert.deepEqual(await world.dataIn(at), ['first', 'first', 'other'])
  })
}

function repeatRules(suite: Suite): void {
  suite.rule('a repeated id is not stored again and gets the place of the first record', async (world) => {
    const first = await world.append(at, 'first', { id: 'one' })
    await world.append(at, 'between')
    const again = await world.append(at, 'first', { id: 'one' })
    assert.equal(first.duplicate, false)
    assert.deepEqual(again, { ...first, duplicate: true })
    assert.deepEqual(await world.dataIn(at), ['first', 'between'])
  })

  suite.rule('an id is remembered for all partitions of its topic', async (world) => {
    const first = await world.append(at, 'first', { id: 'one' })
    const again = await world.append(elsewhere, 'first', { id: 'one' })
    assert.deepEqual(again, { ...first, duplicate: true })
    assert.deepEqual(await world.dataIn(elsewhere), [])
  })

  suite.rule('each topic remembers its own ids', async (world) => {
    await world.engine.createTopic('other', {})
    await world.append(at, 'first', { id: 'one' })
    const other = await world.append({ ...at, topic: 'other' }, 'first', { id: 'one' })
    assert.equal(other.duplicate, false)
    assert.deepEqual(await world.dataIn({ ...at, topic: 'other' }), ['first'])
  })

  suite.rule('a record that was trimmed is still known by its id', async (world) => {
    const first = await world.append(at, 'first', { id: 'one' })
    await world.append(at, 'between')
    await world.engine.trim(at, { before: first.offset + 1 })
    const again = await world.append(at, 'first', { id: 'one' })
    assert.equal(again.duplicate, true)
    assert.deepEqual(await world.dataIn(at), ['between'])
  })

  if (!suite.keepsData) return
  suite.rule('an id is remembered when the log is opened again', async (world) => {
    const first = await world.append(at, 'first', { id: 'one' })
    await world.reopen()
    assert.deepEqual(await world.append(at, 'first', { id: 'one' }), { ...first, duplicate: true })
    await rejectsWith('ID_REUSED', world.append(at, 'other', { id: 'one' }))
  })
}

function togetherRules(suite: Suite): void {
  suite.rule('a repeat that comes while the first is on its way is answered by the first', async (world) => {
    const calls = Array.from({ length: 10 }, () => world.append(at, 'first', { id: 'one' }))
    const stored = Promise.race(calls).then(() => world.dataIn(at))
    const places = await Promise.all(calls)
    assert.deepEqual(await stored, ['first'], 'a repeat was answered before the record was visible')
    assert.equal(places.filter(({ duplicate }) => !duplicate).length, 1)
    assert.equal(new Set(places.map(({ offset }) => offset)).size, 1)
    assert.deepEqual(await world.dataIn(at), ['first'])
  })

  suite.rule('a repeat within one call is answered by the first', async (world) => {
    const [first, between, again] = await world.engine.append([
      world.entry(at, 'first', { id: 'one' }),
      world.entry(at, 'between'),
      world.entry(elsewhere, 'first', { id: 'one' }),
    ])
    assert.deepEqual([first?.duplicate, between?.duplicate], [false, false])
    assert.deepEqual(again, { ...first, duplicate: true })
    assert.deepEqual(await world.dataIn(at), ['first', 'between'])
    assert.deepEqual(await world.dataIn(elsewhere), [])
  })
}

function reuseRules(suite: Suite): void {
  suite.rule(
    'the same id with other content is ID_REUSED, and nothing of the call is appended',
    async (world) => {
      await world.append(at, 'first', { id: 'one' })
      await rejectsWith(
        'ID_REUSED',
        world.engine.append([
          world.entry(elsewhere, 'before'),
          world.entry(at, 'other', { id: 'one' }),
          world.entry(elsewhere, 'after'),
        ]),
      )
      assert.deepEqual(await world.dataIn(at), ['first'])
      assert.deepEqual(await world.dataIn(elsewhere), [])
    },
  )

  suite.rule(
    'an id used for two contents within one call is ID_REUSED, and nothing is appended',
    async (world) => {
      await rejectsWith(
        'ID_REUSED',
        world.engine.append([
          world.entry(at, 'first', { id: 'one' }),
          world.entry(at, 'other', { id: 'one' }),
        ]),
      )
      assert.deepEqual(await world.dataIn(at), [])
      assert.equal((await world.append(at, 'other', { id: 'one' })).duplicate, false)
    },
  )

  suite.rule('an id used for two contents at once is stored for one of them', async (world) => {
    const outcomes = await Promise.allSettled([
      world.append(at, 'first', { id: 'one' }),
      world.append(elsewhere, 'other', { id: 'one' }),
    ])
    const rejected = outcomes.filter((outcome) => outcome.status === 'rejected')
    assert.equal(rejected.length, 1)
    await rejectsWith('ID_REUSED', Promise.reject(rejected[0]?.reason))
    const stored = [...(await world.dataIn(at)), ...(await world.dataIn(elsewhere))]
    assert.equal(stored.length, 1)
  })

  suite.rule('a repeat with another time is no other content', async (world) => {
    await world.append(at, 'first', { id: 'one' })
    world.runtime.advance(1000)
    assert.equal((await world.append(at, 'first', { id: 'one' })).duplicate, true)
  })
}

function windowRules(suite: Suite): void {
  suite.rule(
    'an id is remembered within the window and stored again after it',
    async (world) => {
      const first = await world.append(at, 'first', { id: 'one' })
      world.runtime.advance(minuteMs - 1)
      assert.equal((await world.append(at, 'first', { id: 'one' })).duplicate, true)
      world.runtime.advance(2)
      const later = await world.append(at, 'first', { id: 'one' })
      assert.equal(later.duplicate, false)
      assert(later.offset > first.offset)
      world.runtime.advance(minuteMs - 1)
      assert.deepEqual(await world.append(at, 'first', { id: 'one' }), { ...later, duplicate: true })
    },
    { deduplicationWindowMs: minuteMs },
  )

  suite.rule(
    'after the window an id may be used for other content',
    async (world) => {
      await world.append(at, 'first', { id: 'one' })
      world.runtime.advance(minuteMs + 1)
      await world.append(at, 'other', { id: 'one' })
      assert.deepEqual(await world.dataIn(at), ['first', 'other'])
    },
    { deduplicationWindowMs: minuteMs },
  )

  suite.rule(
    'no more ids are remembered than asked for, the oldest being forgotten first',
    async (world) => {
      for (let index = 0; index < 100; index += 1) await world.append(at, index, { id: `id-${index}` })
      assert.equal((await world.append(at, 99, { id: 'id-99' })).duplicate, true)
      assert.equal((await world.append(at, 0, { id: 'id-0' })).duplicate, false)
    },
    { deduplicationMaxIds: 20 },
  )
}

function commitRules(suite: Suite): void {
  suite.rule('a commit does not store a repeated id again', async (world) => {
    const claim = (await world.join('makers')).claim(1)
    const first = await world.append(at, 'first', { id: 'one' })
    const [again, fresh] = await claim.commit(
      change({ appends: [world.entry(at, 'first', { id: 'one' }), world.entry(at, 'new', { id: 'two' })] }),
    )
    assert.deepEqual(again, { ...first, duplicate: true })
    assert.equal(fresh?.duplicate, false)
    assert.equal((await world.append(at, 'new', { id: 'two' })).duplicate, true)
    assert.deepEqual(await world.dataIn(at), ['first', 'new'])
  })

  if (suite.engine.capabilities.atomicCommit) atomicReuseRules(suite)
  else laterReuseRules(suite)
}

function atomicReuseRules(suite: Suite): void {
  suite.rule(
    'a commit that reuses an id for other content is ID_REUSED and changes nothing',
    async (world) => {
      const member = await world.join('makers')
      const claim = member.claim(1)
      await world.append(at, 'first', { id: 'one' })
      const reuse = [world.entry(at, 'fine'), world.entry(at, 'other', { id: 'one' })]
      await rejectsWith('ID_REUSED', claim.commit(change({ puts: [put('key', 'value')], appends: reuse })))
      const anew = await member.next(1, claim.epoch)
      assert.deepEqual(await textsAt(anew, ['key']), [undefined])
      assert.deepEqual(await world.dataIn(at), ['first'])
    },
  )
}

function laterReuseRules(suite: Suite): void {
  suite.rule(
    'a commit that reuses an id for other content holds, and the first record stands',
    async (world) => {
      const member = await world.join('makers')
      const claim = member.claim(1)
      const first = await world.append(at, 'first', { id: 'one' })
      const reuse = [world.entry(at, 'fine'), world.entry(at, 'other', { id: 'one' })]
      const [fine, reused] = await claim.commit(change({ puts: [put('key', 'value')], appends: reuse }))
      assert.equal(fine?.duplicate, false)
      assert.deepEqual(reused, { ...first, duplicate: true })
      assert.deepEqual(await textsAt(claim, ['key']), ['value'])
      assert.deepEqual(await world.dataIn(at), ['first', 'fine'])
      await claim.commit(change({ appends: [world.entry(at, 'next')] }))
      assert.deepEqual(await world.dataIn(at), ['first', 'fine', 'next'])
    },
  )
}
