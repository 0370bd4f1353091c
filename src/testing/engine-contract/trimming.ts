import assert from 'node:assert/strict'
import type { Suite } from './suite.ts'
import { change, type World } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }

/** Rules about `trim`, and what holds it back. */
export function trimmingRules(suite: Suite): void {
  suite.chapter('trimming', () => {
    limitRules(suite)
    boundRules(suite)
    needRules(suite)
  })
}

function limitRules(suite: Suite): void {
  suite.rule('records below an offset go, and the new start is given', async (world) => {
    const offsets = await world.appendMany(at, 5)
    const start = await world.engine.trim(at, { before: offsets[2] ?? 0 })
    assert.equal(start, offsets[2])
    assert.equal((await world.engine.bounds(at)).start, start)
    assert.deepEqual(await world.dataIn(at), [2, 3, 4])
  })

  suite.rule('records from before a time go', async (world) => {
    for (const timeMs of [1000, 2000, 2000, 3000]) await world.append(at, timeMs, { timeMs })
    await world.engine.trim(at, { beforeTimeMs: 2000 })
    assert.deepEqual(await world.dataIn(at), [2000, 2000, 3000])
    await world.engine.trim(at, { beforeTimeMs: 9000 })
    assert.deepEqual(await world.dataIn(at), [])
  })

  suite.rule('the oldest records beyond a number of bytes go', async (world) => {
    for (let index = 0; index < 10; index += 1) await world.append(at, `${index}${'x'.repeat(1000)}`)
    const { bytes } = await world.engine.bounds(at)
    const keepBytes = Math.ceil(bytes / 2)
    await world.engine.trim(at, { keepBytes })
    const left = (await world.dataIn(at)).map((data) => String(data)[0])
    assert(left.length >= 4 && left.length <= 5, `${left.length} records are left`)
    assert.equal(left.at(-1), '9')
    assert((await world.engine.bounds(at)).bytes <= keepBytes)
  })

  suite.rule('everything goes that any of the limits lets go', async (world) => {
    const offsets: number[] = []
    for (const timeMs of [1000, 2000, 3000, 4000]) {
      offsets.push((await world.append(at, timeMs, { timeMs })).offset)
    }
    await world.engine.trim(at, { before: offsets[1] ?? 0, beforeTimeMs: 3000, keepBytes: 1_000_000 })
    assert.deepEqual(await world.dataIn(at), [3000, 4000])
    await world.engine.trim(at, { before: offsets[3] ?? 0, beforeTimeMs: 3000, keepBytes: 1_000_000 })
    assert.deepEqual(await world.dataIn(at), [4000])
    await world.engine.trim(at, { before: 0, keepBytes: 0 })
    assert.deepEqual(await world.dataIn(at), [])
  })

  suite.rule('without limits nothing goes', async (world) => {
    await world.appendMany(at, 3)
    const { start } = await world.engine.bounds(at)
    assert.equal(await world.engine.trim(at, {}), start)
    assert.deepEqual(await world.dataIn(at), [0, 1, 2])
  })
}

function boundRules(suite: Suite): void {
  suite.rule('the start never falls', async (world) => {
    const offsets = await world.appendMany(at, 5)
    const start = await world.engine.trim(at, { before: offsets[3] ?? 0 })
    assert.equal(await world.engine.trim(at, { before: offsets[1] ?? 0 }), start)
    assert.deepEqual(await world.dataIn(at), [3, 4])
  })

  suite.rule('the start does not fall either when trims of one place overlap', async (world) => {
    const offsets = await world.appendMany(at, 5)
    const trims = [3, 1].map((index) => world.engine.trim(at, { before: offsets[index] ?? 0 }))
    await Promise.all(trims)
    assert.equal((await world.engine.bounds(at)).start, offsets[3])
    assert.deepEqual(await world.dataIn(at), [3, 4])
  })

  suite.rule('trimming goes no further than the end, and offsets go on from there', async (world) => {
    const offsets = await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    assert.equal(await world.engine.trim(at, { before: end + 1000 }), end)
    assert.deepEqual(await world.engine.bounds(at), { start: end, end, bytes: 0 })
    const { offset } = await world.append(at, 'next')
    assert(offset >= end && offset > (offsets[2] ?? 0))
    assert.deepEqual(await world.dataIn(at), ['next'])
  })

  suite.rule('times never fall behind what was trimmed', async (world) => {
    await world.append(at, 1, { timeMs: 5000 })
    await world.engine.trim(at, { beforeTimeMs: 9000 })
    const second = await world.append(at, 2, { timeMs: 1000 })
    assert.equal(await world.engine.offsetAt(at, 5000), second.offset)
  })

  suite.rule('trimming one place leaves the others', async (world) => {
    await world.appendMany(at, 3)
    await world.appendMany(elsewhere, 3)
    await world.engine.trim(at, { keepBytes: 0 })
    assert.deepEqual(await world.dataIn(elsewhere), [0, 1, 2])
  })

  if (!suite.keepsData) return
  suite.rule('what was trimmed is gone when the log is opened again, and offsets go on', async (world) => {
    await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    await world.engine.trim(at, { before: end })
    await world.reopen()
    assert.deepEqual(await world.engine.bounds(at), { start: end, end, bytes: 0 })
    assert((await world.append(at, 'next')).offset >= end)
  })
}

function needRules(suite: Suite): void {
  suite.rule('trimming never passes what a group needs, whatever the limits', async (world) => {
    const offsets = await world.appendMany(at, 6)
    await need(world, 'readers', offsets[2] ?? 0)
    world.runtime.advance(1000)
    for (const limits of [
      { before: offsets[5] ?? 0 },
      { beforeTimeMs: world.runtime.now() },
      { keepBytes: 0 },
    ]) {
      assert.equal(await world.engine.trim(at, limits), offsets[2])
    }
    assert.deepEqual(await world.dataIn(at), [2, 3, 4, 5])
  })

  suite.rule('the group that needs most decides', async (world) => {
    const offsets = await world.appendMany(at, 6)
    await need(world, 'quick', offsets[5] ?? 0)
    await need(world, 'slow', offsets[1] ?? 0)
    await need(world, 'middling', offsets[3] ?? 0)
    assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offsets[1])
  })

  suite.rule(
    'what a group needs holds until it is replaced, also when the group is not running',
    async (world) => {
      const offsets = await world.appendMany(at, 6)
      const member = await need(world, 'readers', offsets[1] ?? 0)
      await member.claim(1).commit(change({}))
      await member.leave()
      assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offsets[1])
      const again = await world.join('readers')
      assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offsets[1])
      await again.claim(1).commit(change({ needs: { orders: offsets[4] ?? 0 } }))
      assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offsets[4])
    },
  )

  suite.rule('a need is of one topic and one partition', async (world) => {
    await world.engine.createTopic('other', {})
    const [offset = 0] = await world.appendMany(at, 3)
    await world.appendMany(elsewhere, 3)
    await world.appendMany({ ...at, topic: 'other' }, 3)
    await need(world, 'readers', offset)
    await world.engine.trim(elsewhere, { keepBytes: 0 })
    await world.engine.trim({ ...at, topic: 'other' }, { keepBytes: 0 })
    assert.deepEqual(await world.dataIn(elsewhere), [])
    assert.deepEqual(await world.dataIn({ ...at, topic: 'other' }), [])
    assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offset)
  })

  if (!suite.keepsData) return
  suite.rule('what a group needs holds when the log is opened again', async (world) => {
    const offsets = await world.appendMany(at, 6)
    await need(world, 'readers', offsets[2] ?? 0)
    await world.reopen()
    assert.equal(await world.engine.trim(at, { keepBytes: 0 }), offsets[2])
  })
}

/** A member of a group that needs the place's records from an offset on. */
async function need(world: World, group: string, offset: number) {
  const member = await world.join(group)
  await member.claim(at.partition).commit(change({ needs: { [at.topic]: offset } }))
  return member
}
