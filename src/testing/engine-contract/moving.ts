import assert from 'node:assert/strict'
import { movedClaimRules } from './moving-claims.ts'
import { movedRecordRules } from './moving-records.ts'
import { at, bring, few, importRule, move, of, portions, withExport, withImport } from './moving-world.ts'
import type { Suite } from './suite.ts'
import { change, noLimits, put, recordsIn, rejectsWith, textOf, textsAt } from './world.ts'
/** Rules about reading all that a log holds, and about bringing it into another one. */
export function movingRules(suite: Suite): void {
  if (suite.engine.canBeMoved !== true) return
  suite.chapter('moving', () => {
    contentsRules(suite)
    markRules(suite)
    beginningRules(suite)
    refusalRules(suite)
    movedRecordRules(suite)
    movedClaimRules(suite)
  })
}

function contentsRules(suite: Suite): void {
  suite.rule('all topics with their options, and all records, are told', async (world) => {
    await world.engine.createTopic('other', { retention: { maxAgeMs: 1000 } })
    const offsets = await world.appendMany(at, 5)
    await world.engine.trim(at, { before: offsets[2] ?? 0 })
    const bounds = await world.engine.bounds(at)
    const records = await recordsIn(world.engine, at)
    await world.engine.close()
    await withExport(world, async (contents) => {
      assert.equal(contents.partitions, 4)
      const topics = await contents.listTopics()
      assert.deepEqual(topics, [
        { name: 'orders', options: {} },
        { name: 'other', options: { retention: { maxAgeMs: 1000 } } },
      ])
      const lastTimeMs = records.at(-1)?.timeMs
      const { start, ...ends } = await contents.ends(at)
      assert(start > 0 && start <= bounds.start, `it begins at ${start}, and not at ${bounds.start}`)
      assert.deepEqual(ends, { end: bounds.end, lastTimeMs })
      assert.deepEqual((await contents.read(at, start, noLimits)).records, records)
      const empty = await contents.ends({ topic: 'other', partition: 0 })
      assert.deepEqual(empty, { start: 0, end: 0, lastTimeMs: Number.NEGATIVE_INFINITY })
      await rejectsWith('TOPIC_UNKNOWN', contents.ends({ topic: 'nowhere', partition: 0 }))
    })
  })

  suite.rule('all groups with their epochs, needs and state are told', async (world) => {
    await world.appendMany(at, 3)
    const member = await world.join('makers')
    const claim = member.claim(1)
    const puts = ['b', 'a', 'é', '\u{1f600}', '\uffee'].map((key) => put(key, `value of ${key}`))
    await claim.commit(change({ puts, needs: { orders: 2 } }))
    await world.join('readers')
    await world.engine.close()
    await withExport(world, async (contents) => {
      assert.deepEqual(await contents.listGroups(), ['makers', 'readers'])
      const { epoch, needs } = await contents.claim(of)
      assert(epoch >= claim.epoch, `epoch ${epoch} is below ${claim.epoch}`)
      assert.deepEqual(needs, { orders: 2 })
      const keys: string[] = []
      for (;;) {
        const portion = await contents.state(of, keys.at(-1), { values: 2, bytes: 1_000_000 })
        if (portion.length === 0) break
        assert(portion.length <= 2, 'more values were given than were asked for')
        for (const { key, value } of portion) assert.equal(textOf(value), `value of ${key}`)
        keys.push(...portion.map(({ key }) => key))
      }
      assert.deepEqual(keys, ['a', 'b', 'é', '\uffee', '\u{1f600}'])
      const [first] = await contents.state(of, undefined, { values: 10, bytes: 1 })
      assert.equal(first?.key, 'a', 'a value was not given because of its size')
      assert.deepEqual(await contents.state({ group: 'readers', partition: 1 }, undefined, few), [])
    })
  })
}

function markRules(suite: Suite): void {
  suite.rule('a log that is open cannot be opened to be moved', async (world) => {
    await rejectsWith('LOG_IN_USE', world.moving.openExport())
    await world.engine.close()
    await (await world.moving.openExport()).close()
  })

  importRule(suite, 'a log that is not there cannot be opened to be moved', async (world) => {
    await rejectsWith('LOG_UNKNOWN', world.moving.openExport())
    await withImport(world, async (log) => assert.equal(log.found, 'nothing'))
  })

  suite.rule('a mark makes every opening LOG_MOVED, until it is taken away', async (world) => {
    await world.append(at, 'before')
    await world.engine.close()
    for (const finished of [false, true]) {
      const log = await world.moving.openExport()
      await log.setMark({ ...move, finished })
      await log.close()
      await assert.rejects(world.open(), {
        code: 'LOG_MOVED',
        facts: { to: move.other, finished, id: move.id },
      })
    }
    const log = await world.moving.openExport()
    assert.deepEqual(log.mark, { ...move, finished: true })
    await log.setMark(undefined)
    assert.equal(log.mark, undefined)
    await log.close()
    await world.open()
    await world.append(at, 'after')
    assert.deepEqual(await world.dataIn(at), ['before', 'after'])
  })
}

function beginningRules(suite: Suite): void {
  importRule(suite, 'opening for import changes nothing', async (world) => {
    await withImport(world, async (log) => assert.equal(log.found, 'nothing'))
    await world.open({ partitions: 3 })
    assert.equal(world.engine.partitions, 3)
    await world.engine.close()
    await withImport(world, async (log) => {
      assert.equal(log.found, 'log')
      assert.equal(log.origin, undefined)
    })
  })

  importRule(suite, 'until it is finished an import is IMPORT_UNFINISHED, and then a log', async (world) => {
    await withImport(world, async (log) => {
      await log.begin(move, 3)
      await log.createTopic({ name: 'orders', options: {} })
      await log.createTopic({ name: 'orders', options: {} })
    })
    await assert.rejects(world.open(), {
      code: 'IMPORT_UNFINISHED',
      facts: { from: move.other, id: move.id },
    })
    await rejectsWith('IMPORT_UNFINISHED', world.moving.openExport())
    await withImport(world, async (log) => {
      assert.equal(log.found, 'import')
      assert.deepEqual(log.origin, move)
      await log.begin(move, 3)
      await log.finish()
    })
    await world.open()
    assert.equal(world.engine.partitions, 3)
    assert.deepEqual(await world.engine.listTopics(), [{ name: 'orders', options: {} }])
    await world.engine.close()
    await withImport(world, async (log) => {
      assert.equal(log.found, 'log')
      assert.deepEqual(log.origin, { ...move, finished: true })
    })
  })
}

function refusalRules(suite: Suite): void {
  suite.rule('nothing is brought into a log that is there', async (world) => {
    await world.append(at, 'mine')
    await world.engine.close()
    await withImport(world, async (log) => {
      await rejectsWith('LOG_OCCUPIED', log.begin(move, 4))
      await rejectsWith('LOG_OCCUPIED', log.drop())
    })
    await world.open()
    assert.deepEqual(await world.dataIn(at), ['mine'])
  })

  importRule(suite, 'an import goes on only for the same move', async (world) => {
    await withImport(world, (log) => log.begin(move, 4))
    await withImport(world, (log) => rejectsWith('LOG_OCCUPIED', log.begin({ ...move, id: 'move-2' }, 4)))
    await withImport(world, (log) => rejectsWith('LOG_OCCUPIED', log.begin(move, 5)))
    await withImport(world, (log) => log.begin(move, 4))
  })

  importRule(suite, 'an import that is dropped leaves nothing behind', async (world) => {
    await withImport(world, async (log) => {
      await log.begin(move, 4)
      await log.createTopic({ name: 'orders', options: {} })
      await bring(world, log, [0, 1, 2])
      await log.addClaim(of, { epoch: 7, needs: {} }, portions([put('key', 'value')]))
    })
    await withImport(world, (log) => log.drop())
    await withImport(world, async (log) => assert.equal(log.found, 'nothing'))
    await world.open({ partitions: 2 })
    assert.equal(world.engine.partitions, 2)
    assert.deepEqual(await world.engine.listTopics(), [])
    assert.deepEqual(await textsAt((await world.join('makers')).claim(1), ['key']), [undefined])
  })
}
