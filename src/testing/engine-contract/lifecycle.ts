import assert from 'node:assert/strict'
import type { Claim, LogEngine } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { change, noLimits, put, recordsIn, rejectsWith, textsAt, type World } from './world.ts'

const at = { topic: 'orders', partition: 1 }

/** Rules about closing and opening again, with every call in every state. */
export function lifecycleRules(suite: Suite): void {
  suite.chapter('lifecycle', () => {
    closingRules(suite)
    settlingRules(suite)
    reopeningRules(suite)
  })
}

/** Every call of the port, on an engine and on a claim of it. */
function everyCall(world: World, engine: LogEngine, claim: Claim): Record<string, () => Promise<unknown>> {
  const { signal } = new AbortController()
  return {
    createTopic: () => engine.createTopic('late', {}),
    listTopics: () => engine.listTopics(),
    deleteTopic: () => engine.deleteTopic('orders'),
    bounds: () => engine.bounds(at),
    offsetAt: () => engine.offsetAt(at, 0),
    append: () => engine.append([world.entry(at, 'late')]),
    read: () => engine.read(at, 0, noLimits),
    changed: () => engine.changed(new Map([[at, 0]]), signal),
    trim: () => engine.trim(at, { keepBytes: 0 }),
    join: () => engine.join('late', { id: 'late' }, () => {}),
    get: () => claim.get(['key']),
    range: () => claim.range({ from: 'a', to: 'z', limit: 10 }),
    commit: () => claim.commit(change({ puts: [put('key', 'late')] })),
  }
}

function closingRules(suite: Suite): void {
  suite.rule('every call on a closing engine is LOG_CLOSED', async (world) => {
    const calls = everyCall(world, world.engine, (await world.join('readers')).claim(0))
    await world.append(at, 'before')
    const closing = world.engine.close()
    const refused = Object.values(calls).map((call) => rejectsWith('LOG_CLOSED', call()))
    await Promise.all(refused)
    await closing
  })

  suite.rule('every call on a closed engine is LOG_CLOSED', async (world) => {
    const calls = everyCall(world, world.engine, (await world.join('readers')).claim(0))
    await world.append(at, 'before')
    await world.engine.close()
    for (const call of Object.values(calls)) await rejectsWith('LOG_CLOSED', call())
  })

  suite.rule('closing twice is fine, also at once', async (world) => {
    await Promise.all([world.engine.close(), world.engine.close()])
    await world.engine.close()
  })

  suite.rule('closing releases every claim, and leaving afterwards is fine', async (world) => {
    const [one, two] = [await world.join('one'), await world.join('two')]
    await world.engine.close()
    for (const claim of [...one.claims, ...two.claims]) assert.equal(claim.signal.aborted, true)
    await one.leave()
    await two.leave()
  })

  suite.rule('a member that has left can be closed over', async (world) => {
    const member = await world.join('one')
    await Promise.all([member.leave(), world.engine.close()])
  })
}

function settlingRules(suite: Suite): void {
  suite.rule('calls that have begun settle, and close waits for them', async (world) => {
    const claim = (await world.join('makers')).claim(0)
    const settled: string[] = []
    const begun = [
      world.engine.append([world.entry(at, 'appended')]).then(() => settled.push('append')),
      claim.commit(change({ puts: [put('key', 'value')] })).then(() => settled.push('commit')),
      world.engine.bounds(at).then(() => settled.push('bounds')),
    ]
    await world.engine.close().then(() => settled.push('close'))
    await Promise.all(begun)
    assert.equal(settled.at(-1), 'close')
    assert.deepEqual(settled.sort(), ['append', 'bounds', 'close', 'commit'])
  })

  if (!suite.keepsData) return
  suite.rule('what was acknowledged while closing is there when the log is opened again', async (world) => {
    const claim = (await world.join('makers')).claim(0)
    const appending = Array.from({ length: 20 }, (_, index) => world.append(at, index))
    const committing = claim.commit(change({ puts: [put('key', 'value')] }))
    await world.engine.close()
    await Promise.all([...appending, committing])
    await world.open()
    assert.equal((await world.dataIn(at)).length, 20)
    assert.deepEqual(await textsAt((await world.join('makers')).claim(0), ['key']), ['value'])
  })
}

function reopeningRules(suite: Suite): void {
  suite.rule('a log can be opened again as soon as it is closed', async (world) => {
    for (let turn = 0; turn < 3; turn += 1) {
      await world.reopen()
      await world.engine.createTopic(`topic-${turn}`, {})
      await world.append({ topic: `topic-${turn}`, partition: 0 }, turn)
    }
  })

  suite.rule('a closed engine stays closed when the log is opened again', async (world) => {
    const first = world.engine
    const calls = everyCall(world, first, (await world.join('readers')).claim(0))
    await world.reopen()
    for (const call of Object.values(calls)) await rejectsWith('LOG_CLOSED', call())
    await first.close()
    await world.engine.createTopic('works', {})
  })

  if (!suite.keepsData) return
  suite.rule('topics, records, offsets and times are kept', async (world) => {
    await world.engine.createTopic('other', { retention: { maxAgeMs: 1000 } })
    await world.appendMany(at, 5)
    const before = [
      await world.engine.listTopics(),
      await recordsIn(world.engine, at),
      await world.engine.bounds(at),
    ]
    await world.reopen()
    const after = [
      await world.engine.listTopics(),
      await recordsIn(world.engine, at),
      await world.engine.bounds(at),
    ]
    assert.deepEqual(after, before)
    await rejectsWith('TOPIC_CONFLICT', world.engine.createTopic('other', {}))
  })

  suite.rule('offsets go on and times do not fall', async (world) => {
    const last = await world.append(at, 1, { timeMs: 5000 })
    await world.reopen()
    const next = await world.append(at, 2, { timeMs: 1000 })
    assert(next.offset > last.offset)
    assert.deepEqual(
      (await recordsIn(world.engine, at)).map(({ timeMs }) => timeMs),
      [5000, 5000],
    )
    assert.equal(await world.engine.offsetAt(at, 5000), last.offset)
  })

  suite.rule('a log keeps the partition count that it was created with', async (world) => {
    await world.reopen({ partitions: 9 })
    assert.equal(world.engine.partitions, 4)
  })

  suite.rule('a topic that was deleted stays deleted', async (world) => {
    await world.append(at, 'gone')
    await world.engine.deleteTopic('orders')
    await world.reopen()
    await rejectsWith('TOPIC_UNKNOWN', world.engine.bounds(at))
    await world.engine.createTopic('orders', {})
    assert.deepEqual(await world.dataIn(at), [])
  })
}
