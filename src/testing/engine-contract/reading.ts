import assert from 'node:assert/strict'
import type { Suite } from './suite.ts'
import { assertCloneable, dataOf, noLimits, rejectsWith } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }

/** Rules about `read` and `offsetAt`. */
export function readingRules(suite: Suite): void {
  suite.chapter('reading', () => {
    positionRules(suite)
    edgeRules(suite)
    limitRules(suite)
    timeRules(suite)
  })
}

function positionRules(suite: Suite): void {
  suite.rule('gives the records from an offset on, in offset order', async (world) => {
    const offsets = await world.appendMany(at, 10)
    const batch = await world.engine.read(at, offsets[4] ?? 0, noLimits)
    assert.deepEqual(dataOf(batch.records), [4, 5, 6, 7, 8, 9])
    assert.deepEqual(
      batch.records.map(({ offset }) => offset),
      offsets.slice(4),
    )
    assertCloneable(batch)
  })

  suite.rule('reading on from next gives every record once', async (world) => {
    await world.appendMany(at, 20)
    const seen: unknown[] = []
    let { start: from } = await world.engine.bounds(at)
    const { end } = await world.engine.bounds(at)
    while (from < end) {
      const batch = await world.engine.read(at, from, { records: 3, bytes: 1_000_000 })
      if (batch.records.length === 0) break
      assert(batch.next > (batch.records.at(-1)?.offset ?? from), 'next is not behind the records')
      seen.push(...dataOf(batch.records))
      from = batch.next
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 20 }, (_, index) => index),
    )
  })
}

function edgeRules(suite: Suite): void {
  suite.rule('reading at the end gives none, and the next record is found from there', async (world) => {
    await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    const none = await world.engine.read(at, end, noLimits)
    assert.deepEqual(none.records, [])
    await world.append(at, 'next')
    assert.deepEqual(dataOf((await world.engine.read(at, none.next, noLimits)).records), ['next'])
  })

  suite.rule('reading past the end gives none', async (world) => {
    await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    assert.deepEqual((await world.engine.read(at, end + 1000, noLimits)).records, [])
  })

  suite.rule('reading below the start is OFFSET_TRIMMED and never jumps', async (world) => {
    const offsets = await world.appendMany(at, 5)
    const start = await world.engine.trim(at, { before: offsets[3] ?? 0 })
    await rejectsWith('OFFSET_TRIMMED', world.engine.read(at, start - 1, noLimits))
    await rejectsWith('OFFSET_TRIMMED', world.engine.read(at, offsets[0] ?? 0, noLimits))
    assert.deepEqual(dataOf((await world.engine.read(at, start, noLimits)).records), [3, 4])
  })

  suite.rule('reading below the start of a place that was emptied is OFFSET_TRIMMED', async (world) => {
    const offsets = await world.appendMany(at, 3)
    const { end } = await world.engine.bounds(at)
    await world.engine.trim(at, { before: end })
    await rejectsWith('OFFSET_TRIMMED', world.engine.read(at, offsets[2] ?? 0, noLimits))
    assert.deepEqual((await world.engine.read(at, end, noLimits)).records, [])
  })

  suite.rule('each place has its own records', async (world) => {
    await world.engine.createTopic('other', {})
    await world.append(at, 'one')
    await world.append(elsewhere, 'two')
    await world.append({ ...at, topic: 'other' }, 'three')
    assert.deepEqual(await world.dataIn(at), ['one'])
    assert.deepEqual(await world.dataIn(elsewhere), ['two'])
    assert.deepEqual(await world.dataIn({ ...at, topic: 'other' }), ['three'])
  })

  suite.rule('a signal that was aborted rejects with its reason', async (world) => {
    const reason = new Error('no longer wanted')
    await assert.rejects(world.engine.read(at, 0, noLimits, AbortSignal.abort(reason)), reason)
  })
}

function limitRules(suite: Suite): void {
  suite.rule('gives at most as many records as asked for', async (world) => {
    await world.appendMany(at, 10)
    const { start } = await world.engine.bounds(at)
    for (const records of [1, 2, 9, 10, 11]) {
      const batch = await world.engine.read(at, start, { ...noLimits, records })
      assert.equal(batch.records.length, Math.min(records, 10))
    }
  })

  suite.rule('gives at most as many bytes as asked for', async (world) => {
    for (let index = 0; index < 10; index += 1) await world.append(at, 'x'.repeat(1000))
    const { start } = await world.engine.bounds(at)
    const batch = await world.engine.read(at, start, { ...noLimits, bytes: 5000 })
    assert(batch.records.length > 1 && batch.records.length < 5, `${batch.records.length} records`)
  })

  suite.rule('gives one record when there is one, whatever the limits', async (world) => {
    await world.append(at, 'x'.repeat(1000))
    await world.append(at, 'y')
    const { start } = await world.engine.bounds(at)
    for (const limits of [
      { records: 0, bytes: 0 },
      { records: 10, bytes: 1 },
      { records: 0, bytes: 10_000 },
    ]) {
      const batch = await world.engine.read(at, start, limits)
      assert.deepEqual(dataOf(batch.records), ['x'.repeat(1000)])
    }
  })
}

function timeRules(suite: Suite): void {
  suite.rule('offsetAt gives the smallest offset of at least a time', async (world) => {
    const times = [1000, 2000, 2000, 2000, 3000]
    const offsets: number[] = []
    for (const timeMs of times) offsets.push((await world.append(at, timeMs, { timeMs })).offset)
    const { end } = await world.engine.bounds(at)
    const expected = [
      [0, offsets[0]],
      [1000, offsets[0]],
      [1001, offsets[1]],
      [2000, offsets[1]],
      [2001, offsets[4]],
      [3000, offsets[4]],
      [3001, end],
    ] as const
    for (const [timeMs, offset] of expected) {
      assert.equal(await world.engine.offsetAt(at, timeMs), offset, `at ${timeMs}`)
    }
  })

  suite.rule('offsetAt goes by the times that records were raised to', async (world) => {
    await world.append(at, 1, { timeMs: 2000 })
    const second = await world.append(at, 2, { timeMs: 1000 })
    const third = await world.append(at, 3, { timeMs: 2500 })
    const { start } = await world.engine.bounds(at)
    assert.equal(await world.engine.offsetAt(at, 1000), start)
    assert.equal(await world.engine.offsetAt(at, 2001), third.offset)
    assert(second.offset < third.offset)
  })

  suite.rule('offsetAt gives the end of an empty place', async (world) => {
    assert.equal(await world.engine.offsetAt(at, 0), (await world.engine.bounds(at)).end)
  })

  suite.rule('offsetAt never gives an offset that was trimmed', async (world) => {
    const offsets: number[] = []
    for (const timeMs of [1000, 2000, 3000]) offsets.push((await world.append(at, timeMs, { timeMs })).offset)
    await world.engine.trim(at, { before: offsets[1] ?? 0 })
    assert.equal(await world.engine.offsetAt(at, 500), offsets[1])
  })

  suite.rule('offsetAt finds its way among many records', async (world) => {
    const entries = Array.from({ length: 3000 }, (_, index) => world.entry(at, index, { timeMs: index * 10 }))
    const appended = await world.engine.append(entries)
    for (const index of [0, 1, 777, 1024, 2048, 2999]) {
      assert.equal(await world.engine.offsetAt(at, index * 10), appended[index]?.offset)
      assert.equal(await world.engine.offsetAt(at, index * 10 - 9), appended[index]?.offset)
    }
  })
}
