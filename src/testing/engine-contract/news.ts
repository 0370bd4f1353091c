import assert from 'node:assert/strict'
import type { Suite } from './suite.ts'
import { change, noLimits, rejectsWith } from './world.ts'

const at = { topic: 'orders', partition: 1 }
const elsewhere = { topic: 'orders', partition: 2 }
const forever = new AbortController().signal

/** Rules about `changed`. */
export function newsRules(suite: Suite): void {
  suite.chapter('news', () => {
    arrivalRules(suite)
    raceRules(suite)
    endingRules(suite)
  })
}

function arrivalRules(suite: Suite): void {
  suite.rule('changed resolves at once with the places that have more than is known', async (world) => {
    await world.appendMany(at, 2)
    const [{ start }, { end }] = [await world.engine.bounds(at), await world.engine.bounds(elsewhere)]
    const places = await world.engine.changed(
      new Map([
        [at, start],
        [elsewhere, end],
      ]),
      forever,
    )
    assert.deepEqual(places, [at])
  })

  suite.rule('changed names every place that has news', async (world) => {
    await world.append(at, 1)
    await world.append(elsewhere, 1)
    const places = await world.engine.changed(
      new Map([
        [at, 0],
        [elsewhere, 0],
        [{ topic: 'orders', partition: 3 }, 0],
      ]),
      forever,
    )
    assert.deepEqual(
      places.map(({ partition }) => partition).sort((left, right) => left - right),
      [1, 2],
    )
  })

  suite.rule('changed waits until there is news, and news elsewhere is none', async (world) => {
    await world.appendMany(at, 2)
    const { end } = await world.engine.bounds(at)
    let settled = false
    const news = world.engine.changed(new Map([[at, end]]), forever).finally(() => {
      settled = true
    })
    await world.appendMany(elsewhere, 3)
    await world.engine.read(at, end, noLimits)
    assert.equal(settled, false)
    await world.append(at, 'news')
    assert.deepEqual(await news, [at])
  })

  suite.rule('changed is told of records of a commit', async (world) => {
    const claim = (await world.join('makers')).claim(3)
    const { end } = await world.engine.bounds(at)
    const news = world.engine.changed(new Map([[at, end]]), forever)
    await claim.commit(change({ appends: [world.entry(at, 'news')] }))
    assert.deepEqual(await news, [at])
  })
}

function raceRules(suite: Suite): void {
  suite.rule('everyone who waits is told', async (world) => {
    const { end } = await world.engine.bounds(at)
    const waiting = Array.from({ length: 5 }, () => world.engine.changed(new Map([[at, end]]), forever))
    await world.append(at, 'news')
    for (const places of await Promise.all(waiting)) assert.deepEqual(places, [at])
  })

  suite.rule('news that comes while changed is being asked is not missed', async (world) => {
    for (let round = 0; round < 50; round += 1) {
      const { end } = await world.engine.bounds(at)
      const appending = world.append(at, round)
      for (let turn = 0; turn < round % 10; turn += 1) await Promise.resolve()
      assert.deepEqual(await world.engine.changed(new Map([[at, end]]), forever), [at])
      await appending
    }
  })

  suite.rule('what is news can be read', async (world) => {
    const { end } = await world.engine.bounds(at)
    const news = world.engine.changed(new Map([[at, end]]), forever)
    const appending = world.append(at, 'news')
    await news
    assert.equal((await world.engine.read(at, end, noLimits)).records.length, 1)
    await appending
  })
}

function endingRules(suite: Suite): void {
  suite.rule('changed rejects with the reason of a signal that was aborted', async (world) => {
    const reason = new Error('no longer wanted')
    await world.append(at, 1)
    await assert.rejects(world.engine.changed(new Map([[at, 0]]), AbortSignal.abort(reason)), reason)
  })

  suite.rule('changed rejects with the reason of a signal that aborts while it waits', async (world) => {
    const reason = new Error('no longer wanted')
    const controller = new AbortController()
    const { end } = await world.engine.bounds(at)
    const news = world.engine.changed(new Map([[at, end]]), controller.signal)
    const ended = assert.rejects(news, reason)
    await world.engine.bounds(at)
    controller.abort(reason)
    await ended
  })

  suite.rule('changed without places waits until it is told to stop', async (world) => {
    const reason = new Error('no longer wanted')
    const controller = new AbortController()
    const ended = assert.rejects(world.engine.changed(new Map(), controller.signal), reason)
    await world.append(at, 1)
    controller.abort(reason)
    await ended
  })

  suite.rule('changed rejects with TOPIC_UNKNOWN when a topic is deleted', async (world) => {
    const { end } = await world.engine.bounds(at)
    const ended = rejectsWith('TOPIC_UNKNOWN', world.engine.changed(new Map([[at, end]]), forever))
    await world.engine.bounds(at)
    await world.engine.deleteTopic('orders')
    await ended
  })

  suite.rule('changed rejects with LOG_CLOSED when the engine closes', async (world) => {
    const { end } = await world.engine.bounds(at)
    const ended = rejectsWith('LOG_CLOSED', world.engine.changed(new Map([[at, end]]), forever))
    await world.engine.bounds(at)
    await world.engine.close()
    await ended
  })
}
