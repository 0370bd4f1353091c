import { describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { publishBounds } from '../../src/bus/publish-room.ts'
import type { IncomingEvent } from '../../src/bus/publisher.ts'
import { Aside, bench, Counted, gate, shop, upTo } from './support.ts'

const incoming = (id: string, n: unknown, more: object = {}): IncomingEvent => ({
  specversion: '1.0',
  id,
  source: 'outside',
  type: Counted.type,
  data: { key: 'a', n },
  ...more,
})

describe('publishing', () => {
  it('gives the place and the id, and completes the event', async () => {
    const b = bench()
    const process = await b.start()
    const published = await process.publish(Counted, { key: 'a', n: 1 }, { subject: 'order/1' })
    expect(published).toMatchObject({ topic: shop, partition: 0, offset: 0, duplicate: false })
    const [stored] = await b.events()
    expect(stored).toEqual({
      specversion: '1.0',
      id: published.id,
      source: shop,
      type: Counted.type,
      time: new Date(b.runtime.now()).toISOString(),
      subject: 'order/1',
      partitionkey: 'a',
      data: { key: 'a', n: 1 },
    })
    expect(published.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  })

  it('refuses data that does not match the schema, and stores nothing', async () => {
    const b = bench()
    const process = await b.start()
    await expect(process.publish(Counted, { key: 'a', n: 'one' as never })).rejects.toMatchObject({
      code: 'DATA_INVALID',
      where: 'data.n',
    })
    expect(await b.events()).toEqual([])
  })

  it('refuses an event beyond the bound of its size with EVENT_TOO_LARGE', async () => {
    const b = bench()
    const process = await b.start({ maxEventBytes: 1_000 })
    const subject = 'x'.repeat(1_000)
    await expect(process.publish(Counted, { key: 'a', n: 1 }, { subject })).rejects.toMatchObject({
      code: 'EVENT_TOO_LARGE',
    })
    await expect(process.publish(Counted, { key: 'a', n: 1 })).resolves.toBeDefined()
  })

  it('refuses a key that is too long', async () => {
    const b = bench()
    const process = await b.start()
    await expect(process.publish(Counted, { key: 'ü'.repeat(257), n: 1 })).rejects.toMatchObject({
      code: 'KEY_TOO_LONG',
    })
  })

  it.each([
    ['id', ''],
    ['source', 'no uri'],
    ['subject', 'a\u0000b'],
  ])('refuses an attribute that no CloudEvent can have: %s %j', async (name, value) => {
    const b = bench()
    const process = await b.start()
    const refused = process.publish(Counted, { key: 'a', n: 1 }, { [name]: value })
    await expect(refused).rejects.toMatchObject({ code: 'EVENT_INVALID', where: name })
    const fine = process.publish(Counted, { key: 'a', n: 1 }, { [name]: undefined })
    await expect(fine).resolves.toBeDefined()
  })

  it('to a topic that is not there is TOPIC_UNKNOWN', async () => {
    const b = bench()
    const process = await b.start()
    const nowhere = process.publish(Counted, { key: 'a', n: 1 }, { topic: 'nowhere' })
    await expect(nowhere).rejects.toMatchObject({ code: 'TOPIC_UNKNOWN' })
    await expect(process.accept([incoming('1', 1)], { topic: 'nowhere' })).rejects.toMatchObject({
      code: 'TOPIC_UNKNOWN',
    })
    const aside = await process.publish(Counted, { key: 'a', n: 1 }, { topic: 'aside' })
    expect(aside.topic).toBe('aside')
  })

  it('resolves only when the event is durable, and rejects when it cannot become so', async () => {
    const b = bench()
    const full = new Error('the disk is full')
    let failing = true
    const process = await b.start({
      fault: (name) => (failing && name === 'append:apply' ? full : undefined),
    })
    await expect(process.publish(Counted, { key: 'a', n: 1 })).rejects.toBe(full)
    failing = false
    expect(await b.events()).toEqual([])
    await process.publish(Counted, { key: 'a', n: 2 })
    expect(await b.numbers(Counted)).toEqual([2])
  })
})

describe('publishing twice', () => {
  it('with one id is handled once, and names the first place', async () => {
    const b = bench()
    const handled: number[] = []
    const handler = on(Counted, { name: 'handler' }, ({ data }) => handled.push(data.n))
    const process = await b.start({ handlers: [handler] })
    const first = await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x' })
    const second = await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x' })
    expect(second).toEqual({ ...first, duplicate: true })
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x', source: 'another' })
    await b.settle(process)
    expect(handled).toEqual([1, 1])
  })

  it('with one id and other data is ID_REUSED', async () => {
    const b = bench()
    const process = await b.start()
    await process.publish(Counted, { key: 'a', n: 1 }, { id: 'x' })
    await expect(process.publish(Counted, { key: 'a', n: 2 }, { id: 'x' })).rejects.toMatchObject({
      code: 'ID_REUSED',
    })
    expect(await b.numbers(Counted)).toEqual([1])
  })

  it('without an id is two events', async () => {
    const b = bench()
    const process = await b.start()
    await process.publish(Counted, { key: 'a', n: 1 })
    await process.publish(Counted, { key: 'a', n: 1 })
    expect(await b.numbers(Counted)).toEqual([1, 1])
  })
})

describe('events from outside', () => {
  it('are appended all or none, and the one at fault is named by its index', async () => {
    const b = bench()
    const process = await b.start()
    await expect(
      process.accept([incoming('1', 1), incoming('2', 'two'), incoming('3', 3)]),
    ).rejects.toMatchObject({ code: 'DATA_INVALID', where: '[1].data.n', facts: { index: 1 } })
    await expect(
      process.accept([incoming('1', 1), incoming('2', 2, { type: 'test.unknown' })]),
    ).rejects.toMatchObject({ code: 'EVENT_TYPE_UNKNOWN', where: '[1].type' })
    expect(await b.events()).toEqual([])
    const accepted = await process.accept([incoming('1', 1), incoming('2', 2)])
    expect(accepted).toMatchObject([
      { id: '1', offset: 0, duplicate: false },
      { id: '2', offset: 1, duplicate: false },
    ])
    expect(await process.accept([incoming('2', 2), incoming('3', 3)])).toMatchObject([
      { id: '2', offset: 1, duplicate: true },
      { id: '3', offset: 2, duplicate: false },
    ])
    expect(await b.numbers(Counted)).toEqual([1, 2, 3])
  })

  it('that are none are none', async () => {
    const b = bench()
    const process = await b.start()
    expect(await process.accept([])).toEqual([])
  })
})

describe('publishing faster than the log takes it', () => {
  it('waits up to a bound, is OVERLOADED beyond it, and goes on when there is room', async () => {
    const b = bench()
    const slow = gate()
    let isSlow = true
    const process = await b.start({
      around: (engine) => {
        const append = engine.append.bind(engine)
        engine.append = async (...call) => {
          if (isSlow) await slow.opened
          return append(...call)
        }
        return engine
      },
    })
    const { inFlight, waiting } = publishBounds
    const published = upTo(inFlight + waiting).map((n) => process.publish(Aside, { key: 'a', n }))
    await b.quiet()
    await expect(process.publish(Aside, { key: 'a', n: 0 })).rejects.toMatchObject({ code: 'OVERLOADED' })
    isSlow = false
    slow.open()
    expect(await Promise.all(published)).toHaveLength(inFlight + waiting)
    await expect(process.publish(Aside, { key: 'a', n: 0 })).resolves.toBeDefined()
  })

  it('gives up its place in the line when its signal aborts', async () => {
    const b = bench()
    const slow = gate()
    const process = await b.start({
      around: (engine) => {
        const append = engine.append.bind(engine)
        engine.append = async (...call) => {
          await slow.opened
          return append(...call)
        }
        return engine
      },
    })
    const published = upTo(publishBounds.inFlight).map((n) => process.publish(Aside, { key: 'a', n }))
    await b.quiet()
    const tired = new AbortController()
    const waiting = process.publish(Aside, { key: 'b', n: -1 }, { signal: tired.signal })
    await b.quiet()
    tired.abort(new Error('tired'))
    await expect(waiting).rejects.toThrow('tired')
    slow.open()
    await Promise.all(published)
    expect(await b.numbers(Aside, 'aside')).not.toContain(-1)
  })
})
