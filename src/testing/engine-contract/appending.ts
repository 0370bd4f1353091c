import assert from 'node:assert/strict'
import type { Place } from '../../log/port.ts'
import type { Suite } from './suite.ts'
import { assertCloneable, recordsIn, rejectsWith, type World } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }

/** Rules about `append`: places, order, visibility, times, wholeness, bytes and the bound of the log. */
export function appendingRules(suite: Suite): void {
  suite.chapter('appending', () => {
    placeRules(suite)
    visibilityRules(suite)
    timeRules(suite)
    wholenessRules(suite)
    signalRules(suite)
    bytesRules(suite)
    fullnessRules(suite)
  })
}

function placeRules(suite: Suite): void {
  suite.rule('gives each entry its place, in the order of the call', async (world) => {
    await world.engine.createTopic('other', {})
    const places = [at, elsewhere, { topic: 'other', partition: 1 }, at]
    const appended = await world.engine.append(places.map((place, index) => world.entry(place, index)))
    assertCloneable(appended)
    for (const [index, place] of places.entries()) {
      const answer = appended[index]
      assert(answer !== undefined)
      assert.deepEqual(
        [answer.topic, answer.partition, answer.duplicate],
        [place.topic, place.partition, false],
      )
      const { records } = await world.engine.read(place, answer.offset, { records: 1, bytes: 1 })
      assert.equal(records[0]?.offset, answer.offset)
    }
    assert.deepEqual(await world.dataIn(at), [0, 3])
    assert.deepEqual(await world.dataIn(elsewhere), [1])
    assert.deepEqual(await world.dataIn({ topic: 'other', partition: 1 }), [2])
  })

  suite.rule('appending nothing gives nothing', async ({ engine }) => {
    assert.deepEqual(await engine.append([]), [])
  })

  suite.rule('offsets are safe integers that grow, and the end is above them', async (world) => {
    let last = -1
    for (const offset of await world.appendMany(at, 10)) {
      assert(Number.isSafeInteger(offset) && offset > last, `${offset} does not follow ${last}`)
      last = offset
    }
    assert((await world.engine.bounds(at)).end > last)
    assert((await world.engine.bounds(at)).start >= 0)
  })

  suite.rule('appends to one place are ordered as they were called', async (world) => {
    const calls: Promise<unknown>[] = []
    for (let index = 0; index < 100; index += 1) {
      const entries = [
        world.entry(at, index * 2),
        world.entry(elsewhere, index),
        world.entry(at, index * 2 + 1),
      ]
      calls.push(
        world.engine.append(index % 2 === 0 ? entries : entries.filter((entry) => entry.partition === 1)),
      )
    }
    await Promise.all(calls)
    assert.deepEqual(
      await world.dataIn(at),
      Array.from({ length: 200 }, (_, index) => index),
    )
    assert.deepEqual(
      await world.dataIn(elsewhere),
      Array.from({ length: 50 }, (_, index) => index * 2),
    )
  })
}

function visibilityRules(suite: Suite): void {
  suite.rule('what was acknowledged is visible', async (world) => {
    for (let index = 0; index < 20; index += 1) {
      const { offset } = await world.append(at, index)
      assert((await world.engine.bounds(at)).end > offset)
      assert.equal((await world.dataIn(at)).length, index + 1)
    }
  })

  suite.rule('an offset becomes visible only after all smaller ones of its place', async (world) => {
    const count = 300
    const calls: Promise<unknown>[] = []
    for (let index = 0; index < count; index += 1) {
      calls.push(world.engine.append([world.entry(at, index), world.entry(elsewhere, index)]))
    }
    const seen = await follow(world, at, count)
    await Promise.all(calls)
    const stored = (await recordsIn(world.engine, at)).map(({ offset }) => offset)
    assert.deepEqual(seen, stored, 'a record appeared behind a reader that had passed it')
  })

  suite.rule('what is visible never changes', async (world) => {
    await world.appendMany(at, 3)
    const before = await recordsIn(world.engine, at)
    await world.appendMany(at, 3)
    assert.deepEqual((await recordsIn(world.engine, at)).slice(0, 3), before)
  })
}

/** The offsets that a reader sees that reads on as soon as there is news. */
async function follow(world: World, place: Place, count: number): Promise<number[]> {
  const { signal } = new AbortController()
  const offsets: number[] = []
  let { start: next } = await world.engine.bounds(place)
  while (offsets.length < count) {
    await world.engine.changed(new Map([[place, next]]), signal)
    const batch = await world.engine.read(place, next, { records: 7, bytes: 1_000_000 })
    offsets.push(...batch.records.map(({ offset }) => offset))
    next = batch.next
  }
  return offsets
}

function timeRules(suite: Suite): void {
  suite.rule('an entry keeps its time when that is not below the time before it', async (world) => {
    const nowMs = world.runtime.now()
    for (const timeMs of [nowMs, nowMs, nowMs + 5]) await world.append(at, timeMs, { timeMs })
    assert.deepEqual(await timesIn(world), [nowMs, nowMs, nowMs + 5])
  })

  suite.rule('an entry is raised to the time of the record before it', async (world) => {
    const nowMs = world.runtime.now()
    await world.append(at, 1, { timeMs: nowMs })
    await world.append(at, 2, { timeMs: nowMs - 1000 })
    await world.engine.append([nowMs + 10, nowMs + 3].map((timeMs) => world.entry(at, timeMs, { timeMs })))
    await world.append(elsewhere, 3, { timeMs: nowMs - 500 })
    assert.deepEqual(await timesIn(world), [nowMs, nowMs, nowMs + 10, nowMs + 10])
    assert.deepEqual(await timesIn(world, elsewhere), [nowMs - 500])
  })
}

async function timesIn(world: World, place: Place = at): Promise<number[]> {
  return (await recordsIn(world.engine, place)).map(({ timeMs }) => timeMs)
}

function wholenessRules(suite: Suite): void {
  if (suite.engine.capabilities.atomicAppend) {
    suite.rule('an append that fails has appended nothing', async (world) => {
      const entries = [
        world.entry(at, 1),
        world.entry(elsewhere, 2),
        world.entry({ ...at, topic: 'nowhere' }, 3),
      ]
      await rejectsWith('TOPIC_UNKNOWN', world.engine.append(entries))
      assert.deepEqual(await world.dataIn(at), [])
      assert.deepEqual(await world.dataIn(elsewhere), [])
    })
    return
  }
  suite.rule('an append that fails has appended a prefix of its entries', async (world) => {
    const entries = [1, 2, 3].map((data) => world.entry(at, data))
    await rejectsWith(
      'TOPIC_UNKNOWN',
      world.engine.append([...entries, world.entry({ ...at, topic: 'nowhere' }, 4)]),
    )
    const stored = await world.dataIn(at)
    assert.deepEqual(stored, [1, 2, 3].slice(0, stored.length))
  })
}

function signalRules(suite: Suite): void {
  suite.rule('a signal that was aborted rejects with its reason and appends nothing', async (world) => {
    const reason = new Error('no longer wanted')
    await assert.rejects(world.engine.append([world.entry(at, 1)], AbortSignal.abort(reason)), reason)
    assert.deepEqual(await world.dataIn(at), [])
  })

  suite.rule(
    'a signal that aborts in the middle appends everything, or rejects and appends nothing',
    async (world) => {
      const reason = new Error('no longer wanted')
      for (let turns = 0; turns < 6; turns += 1) {
        const before = (await world.dataIn(at)).length
        const controller = new AbortController()
        const call = world.engine.append([world.entry(at, 1), world.entry(at, 2)], controller.signal)
        for (let turn = 0; turn < turns; turn += 1) await Promise.resolve()
        controller.abort(reason)
        const [outcome] = await Promise.allSettled([call])
        const added = (await world.dataIn(at)).length - before
        if (outcome.status === 'rejected') assert.equal(outcome.reason, reason)
        assert.equal(added, outcome.status === 'fulfilled' ? 2 : 0)
      }
    },
  )

  suite.rule('a signal that aborts after the append has no effect', async (world) => {
    const controller = new AbortController()
    await world.engine.append([world.entry(at, 1)], controller.signal)
    controller.abort()
    assert.deepEqual(await world.dataIn(at), [1])
  })
}

function bytesRules(suite: Suite): void {
  suite.rule('bytes come out as they went in', async (world) => {
    const all = Uint8Array.from({ length: 256 }, (_, byte) => byte)
    const large = 'x'.repeat(500 * 1024)
    for (const data of [all, large, '', null, 'naïve 🦉']) await world.append(at, data)
    assert.deepEqual(await world.dataIn(at), [all, large, '', null, 'naïve 🦉'])
  })

  suite.rule('a value may be a part of a larger buffer', async (world) => {
    const entry = world.entry(at, 'inside')
    const buffer = new Uint8Array(entry.value.length + 20).fill(7)
    buffer.set(entry.value, 10)
    await world.engine.append([{ ...entry, value: buffer.subarray(10, 10 + entry.value.length) }])
    assert.deepEqual(await world.dataIn(at), ['inside'])
  })

  suite.rule('bytes that come out belong to the caller', async (world) => {
    await world.append(at, 'kept')
    const [record] = await recordsIn(world.engine, at)
    record?.value.fill(0)
    assert.deepEqual(await world.dataIn(at), ['kept'])
  })

  suite.rule('the bytes of a place grow with its records', async (world) => {
    const { bytes: none } = await world.engine.bounds(at)
    await world.append(at, 'x'.repeat(1000))
    const { bytes: one } = await world.engine.bounds(at)
    await world.append(at, 'x'.repeat(1000))
    const { bytes: two } = await world.engine.bounds(at)
    assert(one - none >= 1000 && two - one >= 1000, `${none}, ${one}, ${two}`)
    assert.equal((await world.engine.bounds(elsewhere)).bytes, 0)
  })
}

function fullnessRules(suite: Suite): void {
  const maxBytes = 4 * 1024 * 1024
  suite.rule(
    'beyond its bound of bytes an append is LOG_FULL, and reading goes on',
    async (world) => {
      const acknowledged = await fill(world, maxBytes)
      assert(acknowledged > 0)
      assert.equal((await recordsIn(world.engine, at)).length, acknowledged)
    },
    { maxBytes },
  )

  suite.rule(
    'a full log takes appends again once it was trimmed',
    async (world) => {
      const first = await fill(world, maxBytes)
      const { end } = await world.engine.bounds(at)
      await world.engine.trim(at, { before: end })
      const second = await fill(world, maxBytes)
      assert(second > first / 2, `${first} appends fitted at first, then ${second}`)
    },
    { maxBytes },
  )
}

/** Appends until the log is full; gives how many appends were acknowledged. */
async function fill(world: World, maxBytes: number): Promise<number> {
  const data = 'x'.repeat(64 * 1024)
  const most = maxBytes / data.length
  let acknowledged = 0
  for (;;) {
    const [outcome] = await Promise.allSettled([world.engine.append([world.entry(at, data)])])
    if (outcome.status === 'rejected') {
      await rejectsWith('LOG_FULL', Promise.reject(outcome.reason))
      return acknowledged
    }
    acknowledged += 1
    assert(acknowledged <= most, 'the log took more than its bound')
  }
}
