import assert from 'node:assert/strict'
import { defaultPartitions } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { assertCloneable, change, noLimits, put, rejectsWith } from './world.ts'

const at = { topic: 'orders', partition: 1 }

/** Rules about topics, and about places that are not there. */
export function topicRules(suite: Suite): void {
  suite.chapter('topics', () => {
    creationRules(suite)
    deletionRules(suite)
    unknownPlaceRules(suite)
  })
}

function creationRules(suite: Suite): void {
  suite.rule('declares the capabilities that it is tested for', async ({ engine }) => {
    assert.deepEqual({ ...engine.capabilities }, { ...suite.engine.capabilities })
    assertCloneable(engine.capabilities)
  })

  suite.rule(
    'a new log has the partitions that are asked for',
    async ({ engine }) => assert.equal(engine.partitions, 7),
    { partitions: 7 },
  )

  suite.rule('a new log has the default partition count unless told otherwise', async (world) => {
    const { partitions: _partitions, ...options } = { partitions: 0, runtime: world.runtime }
    const log = await suite.engine.createLog(options)
    const engine = await log.open({})
    assert.equal(engine.partitions, defaultPartitions)
    await engine.close()
    await log.remove()
  })

  suite.rule('a new topic is empty', async ({ engine }) => {
    const { start, end, bytes } = await engine.bounds(at)
    assert.equal(start, end)
    assert.equal(bytes, 0)
    assert.deepEqual((await engine.read(at, start, noLimits)).records, [])
  })

  suite.rule('creating a topic that exists with equal options changes nothing', async (world) => {
    const options = { retention: { maxAgeMs: 1000, maxBytes: 5000 } }
    await world.engine.createTopic('kept', options)
    await world.append({ topic: 'kept', partition: 0 }, 'before')
    await world.engine.createTopic('kept', { retention: { maxBytes: 5000, maxAgeMs: 1000 } })
    assert.deepEqual(await world.dataIn({ topic: 'kept', partition: 0 }), ['before'])
  })

  suite.rule('creating a topic that exists with other options is TOPIC_CONFLICT', async ({ engine }) => {
    await engine.createTopic('kept', { retention: { maxAgeMs: 1000 } })
    await rejectsWith('TOPIC_CONFLICT', engine.createTopic('kept', { retention: { maxAgeMs: 2000 } }))
    await rejectsWith('TOPIC_CONFLICT', engine.createTopic('kept', {}))
    assert.deepEqual(await engine.listTopics(), [
      { name: 'kept', options: { retention: { maxAgeMs: 1000 } } },
      { name: 'orders', options: {} },
    ])
  })

  suite.rule('a topic created twice at once is created once', async ({ engine }) => {
    await Promise.all([engine.createTopic('twice', {}), engine.createTopic('twice', {})])
    assert.deepEqual(
      (await engine.listTopics()).map(({ name }) => name),
      ['orders', 'twice'],
    )
  })

  suite.rule('topics are listed by name', async ({ engine }) => {
    for (const name of ['b', 'millrace.internal', 'a.c', 'a-b', 'B']) await engine.createTopic(name, {})
    const topics = await engine.listTopics()
    assert.deepEqual(
      topics.map(({ name }) => name),
      ['B', 'a-b', 'a.c', 'b', 'millrace.internal', 'orders'],
    )
    assertCloneable(topics)
  })
}

function deletionRules(suite: Suite): void {
  suite.rule('deleting a topic removes its records and no others', async (world) => {
    await world.engine.createTopic('other', {})
    await world.append(at, 'gone')
    await world.append({ ...at, topic: 'other' }, 'kept')
    await world.engine.deleteTopic('orders')
    assert.deepEqual(
      (await world.engine.listTopics()).map(({ name }) => name),
      ['other'],
    )
    await rejectsWith('TOPIC_UNKNOWN', world.engine.bounds(at))
    assert.deepEqual(await world.dataIn({ ...at, topic: 'other' }), ['kept'])
  })

  suite.rule('a later topic of a deleted name starts anew', async (world) => {
    const first = await world.append(at, 'old', { id: 'one' })
    await world.append(at, 'old too')
    await world.engine.deleteTopic('orders')
    await world.engine.createTopic('orders', { retention: { maxAgeMs: 1 } })
    assert.equal((await world.engine.bounds(at)).bytes, 0)
    const again = await world.append(at, 'new', { id: 'one' })
    assert.deepEqual(again, first)
    assert.deepEqual(await world.dataIn(at), ['new'])
  })

  suite.rule('what a group needed of a deleted topic does not bind the next one', async (world) => {
    const member = await world.join('readers')
    await world.appendMany(at, 3)
    await member.claim(1).commit(change({ needs: { orders: 0 } }))
    await world.engine.deleteTopic('orders')
    await world.engine.createTopic('orders', {})
    await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    assert.equal(await world.engine.trim(at, { before: end }), end)
  })
}

function unknownPlaceRules(suite: Suite): void {
  suite.rule('a topic that is not there is TOPIC_UNKNOWN in every call', async (world) => {
    const { engine } = world
    const nowhere = { topic: 'nowhere', partition: 0 }
    const { signal } = new AbortController()
    await rejectsWith('TOPIC_UNKNOWN', engine.deleteTopic('nowhere'))
    await rejectsWith('TOPIC_UNKNOWN', engine.bounds(nowhere))
    await rejectsWith('TOPIC_UNKNOWN', engine.offsetAt(nowhere, 0))
    await rejectsWith('TOPIC_UNKNOWN', engine.append([world.entry(nowhere, 1)]))
    await rejectsWith('TOPIC_UNKNOWN', engine.read(nowhere, 0, noLimits))
    await rejectsWith('TOPIC_UNKNOWN', engine.changed(new Map([[nowhere, 0]]), signal))
    await rejectsWith('TOPIC_UNKNOWN', engine.trim(nowhere, { before: 1 }))
    const member = await world.join('readers')
    await rejectsWith(
      'TOPIC_UNKNOWN',
      member.claim(0).commit(change({ puts: [put('key', 'value')], appends: [world.entry(nowhere, 1)] })),
    )
  })

  suite.rule('a partition that the log does not have is a TypeError in every call', async (world) => {
    const { engine } = world
    const { signal } = new AbortController()
    for (const partition of [4, -1, 0.5]) {
      const beyond = { topic: 'orders', partition }
      await assert.rejects(engine.bounds(beyond), TypeError)
      await assert.rejects(engine.offsetAt(beyond, 0), TypeError)
      await assert.rejects(engine.append([world.entry(beyond, 1)]), TypeError)
      await assert.rejects(engine.read(beyond, 0, noLimits), TypeError)
      await assert.rejects(engine.changed(new Map([[beyond, 0]]), signal), TypeError)
      await assert.rejects(engine.trim(beyond, { before: 1 }), TypeError)
    }
  })
}
