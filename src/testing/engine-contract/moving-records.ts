import assert from 'node:assert/strict'
import { at, bring, imported, importRule, move, recordAt, withImport } from './moving-world.ts'
import type { Suite } from './suite.ts'
import { noLimits, recordsIn, rejectsWith } from './world.ts'

/** Rules about records that were brought in. */
export function movedRecordRules(suite: Suite): void {
  offsetRules(suite)
  endRules(suite)
  gapRules(suite)
}

function offsetRules(suite: Suite): void {
  importRule(suite, 'records keep their offsets, times and bytes', async (world) => {
    const records = [0, 1, 2, 3, 4].map((offset) => recordAt(world, offset, 1000 + 10 * offset))
    await imported(world, async (log) => {
      await log.addRecords(at, records.slice(0, 2))
      await log.addRecords(at, records.slice(2))
      await log.endPlace(at, { start: 0, end: 5, lastTimeMs: 1040 })
    })
    const found = await recordsIn(world.engine, at)
    assert.deepEqual(
      found.map((record) => ({ ...record, value: new Uint8Array(record.value) })),
      records,
    )
    const { start, end } = await world.engine.bounds(at)
    assert.deepEqual({ start, end }, { start: 0, end: 5 })
    assert.equal(await world.engine.offsetAt(at, 1015), 2)
    const { offset } = await world.append(at, 'next', { timeMs: 3 })
    assert(offset >= 5, `the next offset is ${offset}`)
    assert((await recordsIn(world.engine, at)).at(-1)?.timeMs === 1040, 'the time of the place fell')
  })

  importRule(suite, 'an import tells what it has of a place after it was opened again', async (world) => {
    await withImport(world, async (log) => {
      await log.begin(move, 4)
      await log.createTopic({ name: 'orders', options: {} })
      assert.deepEqual(await log.reached(at), { next: 0, ended: false })
      await log.addRecords(at, [recordAt(world, 10), recordAt(world, 12)])
    })
    await withImport(world, async (log) => {
      await log.begin(move, 4)
      assert.deepEqual(await log.reached(at), { next: 13, ended: false })
      await log.addRecords(at, [recordAt(world, 13)])
      for (let time = 0; time < 2; time += 1) {
        await log.endPlace(at, { start: 10, end: 14, lastTimeMs: world.runtime.now() })
      }
    })
    await withImport(world, async (log) => {
      await log.begin(move, 4)
      assert.equal((await log.reached(at)).ended, true)
      const { records } = await log.read(at, 10, noLimits)
      assert.deepEqual(
        records.map(({ offset }) => offset),
        [10, 12, 13],
      )
      await log.finish()
    })
    await world.open()
    assert.deepEqual(await world.dataIn(at), [10, 12, 13])
  })
}

function endRules(suite: Suite): void {
  importRule(suite, 'a place whose records were all trimmed keeps its end and its time', async (world) => {
    await imported(world, (log) => log.endPlace(at, { start: 500, end: 500, lastTimeMs: 7_000_000_000_000 }))
    const { start, end } = await world.engine.bounds(at)
    assert.deepEqual({ start, end }, { start: 500, end: 500 })
    await rejectsWith('OFFSET_TRIMMED', world.engine.read(at, 499, noLimits))
    assert((await world.append(at, 'next')).offset >= 500)
    assert.equal((await recordsIn(world.engine, at))[0]?.timeMs, 7_000_000_000_000)
  })

  importRule(suite, 'what was brought in can be trimmed, by each of the limits', async (world) => {
    const offsets = [3, 4, 8, 9, 20]
    const sizes = await Promise.all(offsets.map(async (offset) => recordAt(world, offset, offset * 10)))
    await imported(world, async (log) => {
      await log.addRecords(at, sizes)
      await log.endPlace(at, { start: 2, end: 25, lastTimeMs: 200 })
    })
    const read = async () => (await recordsIn(world.engine, at)).map(({ offset }) => offset)
    await world.engine.trim(at, { before: 4 })
    assert.deepEqual(await read(), [4, 8, 9, 20])
    await world.engine.trim(at, { beforeTimeMs: 85 })
    assert.deepEqual(await read(), [9, 20])
    const { bytes } = await world.engine.bounds(at)
    await world.engine.trim(at, { keepBytes: bytes - 1 })
    assert.deepEqual(await read(), [20])
    await world.engine.trim(at, { before: 23 })
    assert.deepEqual(await read(), [])
    assert((await world.append(at, 'next')).offset >= 25)
    assert.deepEqual(await world.dataIn(at), ['next'])
  })
}

function gapRules(suite: Suite): void {
  importRule(suite, 'offsets that are skipped stay so, and reading passes over them', async (world) => {
    await imported(world, (log) => bring(world, log, [5, 6, 100, 101, 5000], { start: 2, end: 6000 }))
    assert.deepEqual(await world.dataIn(at), [5, 6, 100, 101, 5000])
    const readFrom = async (from: number, records = 2) => {
      const batch = await world.engine.read(at, from, { records, bytes: 1_000_000 })
      return [...batch.records.map(({ offset }) => offset), batch.next]
    }
    assert.deepEqual((await readFrom(2)).slice(0, 2), [5, 6])
    assert.deepEqual((await readFrom(7)).slice(0, 2), [100, 101])
    assert.equal((await readFrom(101, 1))[0], 101)
    assert.equal((await readFrom(102))[0], 5000)
  })

  importRule(suite, 'reading behind the last record comes to the end', async (world) => {
    await imported(world, (log) => bring(world, log, [5], { end: 60 }))
    const { records, next } = await world.engine.read(at, 6, noLimits)
    assert.deepEqual(records, [])
    assert(next >= 60, `next is ${next}`)
    const news = world.engine.changed(new Map([[at, next]]), new AbortController().signal)
    const { offset } = await world.append(at, 'next')
    assert(offset >= next, `${offset} is below what was read`)
    assert.deepEqual(await news, [at])
    assert.deepEqual(await world.dataIn(at), [5, 'next'])
  })

  importRule(suite, 'a time between skipped offsets is found', async (world) => {
    const times = new Map([
      [4, 100],
      [90, 100],
      [91, 200],
      [700, 200],
      [701, 300],
    ])
    await imported(world, async (log) => {
      const records = [...times].map(([offset, timeMs]) => recordAt(world, offset, timeMs))
      await log.addRecords(at, records)
      await log.endPlace(at, { start: 0, end: 1000, lastTimeMs: 300 })
    })
    for (const timeMs of [0, 100, 101, 200, 201, 300]) {
      const expected = [...times].find(([, each]) => each >= timeMs)?.[0]
      assert.equal(await world.engine.offsetAt(at, timeMs), expected, `the offset at ${timeMs}`)
    }
    const behind = await world.engine.offsetAt(at, 301)
    assert(behind > 701, `nothing is at 301, and ${behind} was given`)
  })
}
