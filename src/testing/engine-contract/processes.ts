import assert from 'node:assert/strict'
import { isMillraceError } from '../../core/errors.ts'
import type { Claim, LogEngine } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { abortOf, change, put, recordsIn, rejectsWith, textOf, textsAt, type World } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const forever = new AbortController().signal

/** Rules about several engines on one log, where there can be several. */
export function processRules(suite: Suite): void {
  if (!suite.engine.severalProcesses) return
  suite.chapter('several processes', () => {
    sharingRules(suite)
    ownershipRules(suite)
    const { loseSession } = suite.engine
    if (loseSession === undefined) return
    fencingRules(suite, loseSession)
    fencedReadRules(suite, loseSession)
  })
}

async function twoEngines(world: World) {
  const first = world.engine
  return { first, second: await world.open() }
}

function sharingRules(suite: Suite): void {
  suite.rule('what one appended another reads, and is told of', async (world) => {
    const { first, second } = await twoEngines(world)
    const { end } = await second.bounds(at)
    const news = second.changed(new Map([[at, end]]), forever)
    await first.append([world.entry(at, 'from the first')])
    assert.deepEqual(await news, [at])
    assert.deepEqual(await world.dataIn(at, second), ['from the first'])
  })

  suite.rule('topics are common to all', async (world) => {
    const { first, second } = await twoEngines(world)
    await first.createTopic('shared', {})
    await second.append([world.entry({ topic: 'shared', partition: 0 }, 1)])
    await rejectsWith('TOPIC_CONFLICT', second.createTopic('shared', { retention: { maxAgeMs: 1 } }))
    await second.deleteTopic('shared')
    await rejectsWith('TOPIC_UNKNOWN', first.bounds({ topic: 'shared', partition: 0 }))
  })

  suite.rule('closing one leaves the others open', async (world) => {
    const { first, second } = await twoEngines(world)
    await first.close()
    await second.append([world.entry(at, 'still open')])
    assert.deepEqual(await world.dataIn(at, second), ['still open'])
  })

  orderedTimesRule(suite)
  if (!suite.engine.capabilities.appendDeduplicates) return
  suite.rule('a repeated id is stored once, whichever process repeats it', async (world) => {
    const { first, second } = await twoEngines(world)
    const entry = () => world.entry(at, 'once', { id: 'one' })
    const places = (await Promise.all([first.append([entry()]), second.append([entry()])])).flat()
    assert.deepEqual(places.map(({ duplicate }) => duplicate).sort(), [false, true])
    assert.deepEqual(await world.dataIn(at), ['once'])
  })
}

function orderedTimesRule(suite: Suite): void {
  const { orderedTimes } = suite.engine.capabilities
  const times = orderedTimes ? 'times never fall' : 'times are those of the entries'
  suite.rule(`where two processes append at once, ${times}`, async (world) => {
    const { first, second } = await twoEngines(world)
    const nowMs = world.runtime.now()
    const timesMs = Array.from({ length: 40 }, (_, index) => nowMs + (index % 2 === 0 ? index : -index))
    const engines = [first, second]
    await Promise.all(
      timesMs.map((timeMs, index) => engines[index % 2]?.append([world.entry(at, index, { timeMs })])),
    )
    const stored = (await recordsIn(first, at)).map((record) => record.timeMs)
    assert.equal(stored.length, timesMs.length)
    if (orderedTimes)
      assert.deepEqual(
        stored,
        stored.toSorted((one, other) => one - other),
      )
    else assert.ok(stored.every((timeMs) => timeMs >= Math.min(...timesMs) && timeMs <= Math.max(...timesMs)))
  })
}

function ownershipRules(suite: Suite): void {
  suite.rule('partitions are spread over the members of a group', async (world) => {
    const { first, second } = await twoEngines(world)
    const one = await world.join('readers', 'one', first)
    const before = [...one.claims]
    const two = await world.join('readers', 'two', second)
    assert.equal(two.claims.length, 2)
    const moved = two.claims.map(({ partition }) => partition)
    for (const claim of before) {
      if (!moved.includes(claim.partition)) await claim.commit(change({ puts: [put('key', 'kept')] }))
      else await abortOf(claim.signal)
    }
    for (const claim of two.claims) await claim.commit(change({ puts: [put('key', 'moved')] }))
  })

  suite.rule(
    'an owner that was replaced cannot commit, and its successor sees all it committed',
    async (world) => {
      const { first, second } = await twoEngines(world)
      const one = await world.join('readers', 'one', first)
      const commits = one.claims.map(async (claim) => {
        for (let index = 0; ; index += 1) {
          const [outcome] = await Promise.allSettled([
            claim.commit(change({ puts: [put('last', String(index))] })),
          ])
          if (outcome.status === 'fulfilled') continue
          await rejectsWith('NOT_OWNER', Promise.reject(outcome.reason))
          return index
        }
      })
      const two = await world.join('readers', 'two', second)
      const taken = two.claims.map(({ partition }) => partition)
      await one.leave()
      const acknowledged = await Promise.all(commits)
      for (const partition of taken) {
        const position = one.claims.findIndex((claim) => claim.partition === partition)
        const last = (acknowledged[position] ?? 0) - 1
        const expected = last < 0 ? undefined : String(last)
        assert.deepEqual(await textsAt(two.claim(partition), ['last']), [expected])
      }
    },
  )

  suite.rule('what a process that closes owned is given to the others', async (world) => {
    const { first, second } = await twoEngines(world)
    const [one, two] = [await world.join('g', 'one', first), await world.join('g', 'two', second)]
    await one
      .claim(0)
      .commit(change({}))
      .catch(() => undefined)
    await first.close()
    for (const partition of [0, 1, 2, 3]) {
      const above = Math.max(
        -1,
        ...one.claims.filter((claim) => claim.partition === partition).map(({ epoch }) => epoch),
      )
      await (await two.next(partition, above)).commit(change({ puts: [put('key', 'value')] }))
    }
  })
}

function fencingRules(suite: Suite, loseSession: (engine: LogEngine) => Promise<void>): void {
  suite.rule('an owner that was taken for gone, and does not know, cannot commit', async (world) => {
    const { first, second } = await twoEngines(world)
    const one = await world.join('readers', 'one', first)
    const claim = one.claim(0)
    await claim.commit(change({ puts: [put('key', 'before')] }))
    const two = await world.join('readers', 'two', second)
    await loseSession(first)
    const successor = await two.next(0, claim.epoch)
    await rejectsWith(
      'NOT_OWNER',
      claim.commit(change({ puts: [put('key', 'stolen')], appends: [world.entry(at, 'stolen')] })),
    )
    await abortOf(claim.signal)
    await rejectsWith('NOT_OWNER', claim.get(['key']))
    assert.deepEqual(await textsAt(successor, ['key']), ['before'])
    assert.deepEqual(await world.dataIn(at), [])
  })

  suite.rule(
    'a commit on its way when the owner is taken for gone holds as a whole or not at all',
    async (world) => {
      const { first, second } = await twoEngines(world)
      const one = await world.join('readers', 'one', first)
      const claim = one.claim(0)
      const two = await world.join('readers', 'two', second)
      const commits = Array.from({ length: 20 }, (_, index) =>
        claim.commit(change({ puts: [put('last', String(index))], appends: [world.entry(at, index)] })),
      )
      await loseSession(first)
      const outcomes = await Promise.allSettled(commits)
      const acknowledged = outcomes.filter(({ status }) => status === 'fulfilled').length
      const successor = await two.next(0, claim.epoch)
      const stored = await world.dataIn(at)
      assert(stored.length >= acknowledged)
      assert.deepEqual(
        stored,
        stored.map((_, index) => index),
      )
      const last = stored.length === 0 ? undefined : String(stored.length - 1)
      assert.deepEqual(await textsAt(successor, ['last']), [last])
    },
  )
}

function fencedReadRules(suite: Suite, loseSession: (engine: LogEngine) => Promise<void>): void {
  const reads = suite.engine.capabilities.fencedReads ? 'reads nothing' : 'reads at most its own commits'
  suite.rule(`an owner that was taken for gone, and does not know, ${reads}`, async (world) => {
    const { first, second } = await twoEngines(world)
    const one = await world.join('readers', 'one', first)
    const [getting, ranging] = [one.claim(1), one.claim(2)]
    for (const claim of [getting, ranging]) await claim.commit(change({ puts: [put('key', 'before')] }))
    const two = await world.join('readers', 'two', second)
    await loseSession(first)
    for (const claim of [getting, ranging]) {
      const successor = await two.next(claim.partition, claim.epoch)
      await successor.commit(change({ puts: [put('key', 'after')] }))
    }
    const read = async (claim: Claim) => (await claim.get(['key']))[0]
    const find = async (claim: Claim) => (await claim.range({ from: 'a', to: 'z', limit: 1 }))[0]?.value
    for (const [claim, ask] of [[getting, read] as const, [ranging, find] as const]) {
      if (suite.engine.capabilities.fencedReads) {
        await rejectsWith('NOT_OWNER', ask(claim))
        await abortOf(claim.signal)
      } else {
        const answer = await ask(claim).catch((error: unknown) => {
          assert(isMillraceError(error, 'NOT_OWNER'))
        })
        assert(answer === undefined || textOf(answer) === 'before')
      }
    }
  })
}
