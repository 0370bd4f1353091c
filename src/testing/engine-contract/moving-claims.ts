import assert from 'node:assert/strict'
import type { KnownId, LogContents } from '../../log/moving.ts'
import type { KeyValue } from '../../log/port.ts'
import {
  at,
  bring,
  few,
  imported,
  importRule,
  move,
  of,
  portions,
  withExport,
  withImport,
} from './moving-world.ts'
import type { Suite } from './suite.ts'
import { change, noLimits, put, rejectsWith, textOf, textsAt } from './world.ts'

/** Rules about claims and ids that were brought in. */
export function movedClaimRules(suite: Suite): void {
  claimRules(suite)
  tellingRules(suite)
  if (suite.engine.capabilities.appendDeduplicates) idRules(suite)
}

function claimRules(suite: Suite): void {
  importRule(suite, 'state, needs and epochs are kept', async (world) => {
    await imported(world, async (log) => {
      await bring(world, log, [0, 1, 2, 3])
      assert.equal(await log.hasClaim(of), false)
      const values = portions([put('a', 'one'), put('b', 'two')], [], [put('c', 'three')])
      await log.addClaim(of, { epoch: 41, needs: { orders: 2 } }, values)
      assert.equal(await log.hasClaim(of), true)
    })
    assert.equal(await world.engine.trim(at, { before: 4 }), 2)
    const member = await world.join('makers')
    const claim = member.claim(1)
    assert(claim.epoch > 41, `the epoch is ${claim.epoch}`)
    assert.deepEqual(await textsAt(claim, ['a', 'b', 'c', 'd']), ['one', 'two', 'three', undefined])
    const range = await claim.range({ from: 'b', to: 'z', limit: 10 })
    assert.deepEqual(
      range.map(({ key }) => key),
      ['b', 'c'],
    )
    assert.deepEqual(await textsAt(member.claim(0), ['a']), [undefined])
    await claim.commit(change({ puts: [put('a', 'changed')], deletes: ['b'], needs: { orders: 3 } }))
    assert.deepEqual(await textsAt(claim, ['a', 'b']), ['changed', undefined])
    assert.equal(await world.engine.trim(at, { before: 4 }), 3)
  })

  importRule(suite, 'a claim that was cut off is brought in anew', async (world) => {
    const broken = async function* (): AsyncGenerator<readonly KeyValue[]> {
      yield [put('left behind', 'value'), put('x', 'old')]
      throw new Error('cut off')
    }
    await imported(world, async (log) => {
      await assert.rejects(log.addClaim(of, { epoch: 3, needs: {} }, broken()), /cut off/)
      assert.equal(await log.hasClaim(of), false)
      await log.addClaim(of, { epoch: 4, needs: {} }, portions([put('x', 'new')]))
      assert.deepEqual((await log.state(of, undefined, few)).length, 1)
    })
    const claim = (await world.join('makers')).claim(1)
    assert.deepEqual(await textsAt(claim, ['left behind', 'x']), [undefined, 'new'])
  })
}

function tellingRules(suite: Suite): void {
  importRule(suite, 'what was brought in can be told again', async (world) => {
    await withImport(world, async (log) => {
      await log.begin(move, 4)
      await log.createTopic({ name: 'orders', options: { retention: { maxBytes: 5 } } })
      await bring(world, log, [7, 9], { start: 3, end: 12 })
      await log.addClaim(of, { epoch: 3, needs: { orders: 7 } }, portions([put('x', 'one')]))
      await log.addClaim({ ...of, partition: 2 }, { epoch: 0, needs: {} }, portions())
      await checkContents(log)
      await log.finish()
    })
    await withExport(world, checkContents)
    await world.open()
  })
}

async function checkContents(contents: LogContents): Promise<void> {
  assert.equal(contents.partitions, 4)
  assert.deepEqual(await contents.listTopics(), [{ name: 'orders', options: { retention: { maxBytes: 5 } } }])
  const { start, end } = await contents.ends(at)
  assert.deepEqual({ start, end }, { start: 3, end: 12 })
  const { records } = await contents.read(at, 3, noLimits)
  assert.deepEqual(
    records.map(({ offset }) => offset),
    [7, 9],
  )
  assert.deepEqual(await contents.listGroups(), ['makers'])
  assert.deepEqual(await contents.claim(of), { epoch: 3, needs: { orders: 7 } })
  const state = await contents.state(of, undefined, few)
  assert.deepEqual(
    state.map(({ key, value }) => [key, textOf(value)]),
    [['x', 'one']],
  )
}

function idRules(suite: Suite): void {
  const options = { deduplicationWindowMs: 10_000 }

  suite.rule(
    'remembered ids are told in the order in which they came',
    async (world) => {
      const first = await world.append(at, 'first', { id: 'one' })
      await world.append(at, 'without')
      const second = await world.append({ ...at, partition: 2 }, 'second', { id: 'two' })
      await world.engine.close()
      const found: unknown[] = []
      await withExport(world, async (contents) => {
        for (let from = 0; ; ) {
          const { ids, next } = await contents.ids(from, 1)
          if (ids.length === 0) break
          for (const { topic, partition, offset } of ids) found.push({ topic, partition, offset })
          from = next
        }
      })
      assert.deepEqual(
        found,
        [first, second].map(({ topic, partition, offset }) => ({ topic, partition, offset })),
      )
    },
    options,
  )

  importRule(
    suite,
    'ids that were brought in are repeats, or reused, within their own window',
    async (world) => {
      const nowMs = world.runtime.now()
      const known = (name: string, offset: number, timeMs: number): KnownId => {
        return { ...at, offset, timeMs, deduplicationId: `contract ${name}` }
      }
      const events = ['old', 'young', 'other'].map((id) => world.entry(at, id, { id }))
      await imported(world, async (log) => {
        const records = events.map(({ value }, index) => ({ offset: index * 10, timeMs: nowMs, value }))
        await log.addRecords(at, records)
        await log.endPlace(at, { start: 0, end: 21, lastTimeMs: nowMs })
        assert.equal(await log.idsReached(), 0)
        await log.addIds([known('old', 0, nowMs - 9000)], 17)
        assert.equal(await log.idsReached(), 17)
        await log.addIds([known('young', 10, nowMs - 1000), known('other', 20, nowMs - 1000)], 23)
      })
      for (const [index, { value }] of events.entries()) {
        const entry = {
          ...at,
          value,
          timeMs: nowMs,
          deduplicationId: `contract ${['old', 'young', 'other'][index]}`,
        }
        assert.deepEqual(await world.engine.append([entry]), [{ ...at, offset: index * 10, duplicate: true }])
      }
      await rejectsWith('ID_REUSED', world.append(at, 'something else', { id: 'young' }))
      world.runtime.advance(2000)
      assert.equal((await world.append(at, 'old', { id: 'old' })).duplicate, false)
      assert.equal((await world.append(at, 'young', { id: 'young' })).duplicate, true)
    },
    options,
  )
}
