import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Place } from '../../../src/log/port.ts'
import { at, TestLog } from './opened.ts'

const other: Place = { topic: 'payments', partition: at.partition }
let log: TestLog
let controller: AbortController

beforeEach(async () => {
  log = await TestLog.open()
  await log.engine.createTopic(other.topic, {})
  controller = new AbortController()
})

afterEach(async () => {
  await log.end()
})

function changed(known: ReadonlyMap<Place, number>): Promise<readonly Place[]> {
  return log.engine.changed(known, controller.signal)
}

async function appendTo(place: Place, text: string): Promise<void> {
  await log.engine.append([{ ...log.entry(text), ...place }])
}

function listeners(): number {
  return getEventListeners(controller.signal, 'abort').length
}

describe('who waits again with the same map', () => {
  it('is told of what it did not know by then, each time', async () => {
    const known = new Map([
      [at, 0],
      [other, 0],
    ])
    for (let round = 1; round <= 3; round += 1) {
      const news = changed(known)
      await appendTo(at, `order ${round}`)
      expect(await news).toEqual([at])
      known.set(at, round)
    }
    const news = changed(known)
    await appendTo(other, 'payment')
    expect(await news).toEqual([other])
    expect(await changed(known)).toEqual([other])
  })

  it('is told of what came while it did not wait, however often', async () => {
    const known = new Map([[at, 0]])
    const news = changed(known)
    await log.append('first')
    await news
    await log.append('second')
    await log.append('third')
    known.set(at, 2)
    expect(await changed(known)).toEqual([at])
    known.set(at, 3)
    const more = changed(known)
    await log.append('fourth')
    expect(await more).toEqual([at])
  })

  it('is told of a place that was added to it', async () => {
    const known = new Map([[at, 0]])
    const news = changed(known)
    await log.append('order')
    await news
    known.set(at, 1).set(other, 0)
    const more = changed(known)
    await appendTo(other, 'payment')
    expect(await more).toEqual([other])
  })

  it('is told of one that has taken the place of another', async () => {
    const known = new Map([[at, 0]])
    const news = changed(known)
    await log.append('order')
    await news
    known.delete(at)
    known.set(other, 0)
    const more = changed(known)
    await appendTo(other, 'payment')
    expect(await more).toEqual([other])
  })

  it('is told of the topic that has the name now', async () => {
    const known = new Map([[other, 0]])
    const news = changed(known)
    await appendTo(other, 'payment')
    await news
    await log.engine.deleteTopic(other.topic)
    await expect(changed(known)).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    await log.engine.createTopic(other.topic, {})
    const more = changed(known)
    await appendTo(other, 'payment of the new topic')
    expect(await more).toEqual([other])
  })

  it('is told beside somebody who waits with it too', async () => {
    const known = new Map([[at, 0]])
    const waiting = [changed(known), changed(known), changed(known)]
    await log.append('order')
    expect(await Promise.all(waiting)).toEqual([[at], [at], [at]])
  })

  it('waits for as long as the signal that it comes with says', async () => {
    const known = new Map([[at, 0]])
    const news = changed(known)
    await log.append('order')
    await news
    known.set(at, 1)
    const before = controller
    controller = new AbortController()
    const more = changed(known)
    before.abort(new Error('no longer wanted by the first'))
    await log.append('another order')
    expect(await more).toEqual([at])
    known.set(at, 2)
    const ended = expect(changed(known)).rejects.toThrow('no longer wanted by the second')
    controller.abort(new Error('no longer wanted by the second'))
    await ended
  })
})

describe('what is kept for those who wait', () => {
  it('is one listener of the signal, wait after wait, also where two places grow at once', async () => {
    const known = new Map([
      [at, 0],
      [other, 0],
    ])
    for (let round = 1; round <= 3; round += 1) {
      const news = changed(known)
      expect(listeners()).toBe(1)
      await log.engine.append([log.entry(`order ${round}`), { ...log.entry(`payment ${round}`), ...other }])
      expect(await news).toEqual([at, other])
      expect(listeners()).toBe(1)
      known.set(at, round).set(other, round)
    }
  })

  it('is nothing once there was news while nobody waited', async () => {
    const waiting = Array.from({ length: 5 }, () => changed(new Map([[at, 0]])))
    await log.append('order')
    await Promise.all(waiting)
    await log.append('another order')
    expect(listeners()).toBe(0)
  })

  it('is nothing when there was news at once', async () => {
    await log.append('order')
    expect(await changed(new Map([[at, 0]]))).toEqual([at])
    expect(listeners()).toBe(0)
  })
})
