// Goal: appends to a stream are decided by its version, all or none, once. Method: processes on a log in memory and in virtual time.
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { loadCompiler } from '../../src/bus/rules/application-rules.ts'
import { command } from '../../src/core/command.ts'
import { type Event, event } from '../../src/core/event.ts'
import { type NewStreamEvent, stream } from '../../src/eventstore/stream.ts'
import { type AppendOptions, maxAppendedEvents } from '../../src/eventstore/streams.ts'
import { type Bench, type BenchStart, bench, Counted, upTo } from '../bus/support.ts'

const Placed = event('shop.order.placed', {
  schema: z.object({ orderId: z.string(), quantity: z.number().default(1) }),
  key: ({ orderId }) => orderId,
})
const Cancelled = event('shop.order.cancelled', { schema: z.object({ reason: z.string() }) })
const Scanned = event('shop.order.scanned', { schema: z.instanceof(Uint8Array) })
const Shipped = event('shop.order.shipped', {
  schema: z.object({ by: z.string().transform((by) => by.toUpperCase()) }),
  version: 2,
  upcast: (data) => data,
})
const Joined = event('shop.customer.joined', { schema: z.object({}) })
const Order = stream('order', { events: [Placed, Cancelled, Scanned, Shipped] })
const Customer = stream('customer', { events: [Joined] })

type OrderEvent = NewStreamEvent<(typeof Order)['events'][number]>
const placed = (orderId: string): OrderEvent => ({ type: Placed, data: { orderId } })
const cancelled = (reason: string): OrderEvent => ({ type: Cancelled, data: { reason } })

function start(b: Bench, how: BenchStart = {}): Promise<RunningApp> {
  return b.start({ streams: [Order, Customer], handlers: [], ...how })
}

/** The events of an order in the log, each with its version. */
async function stored(b: Bench, key: string): Promise<readonly unknown[]> {
  const events = (await b.events()).filter(({ partitionkey }) => partitionkey === key)
  return events.map(({ type, streamversion, data }) => [type.replace('shop.order.', ''), streamversion, data])
}

function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => 'nothing failed',
    (error: unknown) => error,
  )
}

describe('append', () => {
  it('gives events consecutive versions of their stream, the id of the stream as their key, and ids that it tells', async () => {
    const b = bench()
    const process = await start(b, { partitions: 4 })
    const first = await b.drive(process.append(Order, 'o-1', [placed('o-1'), cancelled('late')]))
    const second = await b.drive(process.append(Order, 'o-1', [cancelled('again')]))
    expect([first.version, second.version]).toEqual([2, 3])
    expect(await stored(b, 'o-1')).toEqual([
      ['placed', 1, { orderId: 'o-1', quantity: 1 }],
      ['cancelled', 2, { reason: 'late' }],
      ['cancelled', 3, { reason: 'again' }],
    ])
    expect((await b.events()).map(({ id }) => id)).toEqual([...first.ids, ...second.ids])
  })

  it('is handed to the handlers of the events, in the order of their versions', async () => {
    const b = bench()
    const seen: unknown[] = []
    const handler = on([Placed, Cancelled], { name: 'handler' }, (each) => {
      seen.push([each.streamversion, each.data])
    })
    const process = await start(b, { handlers: [handler] })
    await b.drive(process.append(Order, 'o-1', [placed('o-1'), cancelled('late')]))
    await b.settle(process)
    expect(seen).toEqual([
      [1, { orderId: 'o-1', quantity: 1 }],
      [2, { reason: 'late' }],
    ])
  })

  it('keeps what publish keeps of an event, and nothing of its own plumbing', async () => {
    const b = bench()
    const process = await start(b)
    const about = { source: '/test', correlationid: 'c-1', time: new Date(0), id: 'a-1' }
    const scanned: OrderEvent = { type: Scanned, data: new Uint8Array([0, 255]), subject: 'label' }
    const shipped: OrderEvent = { type: Shipped, data: { by: 'ship' } }
    const { ids } = await b.drive(process.append(Order, 'o-1', [scanned, shipped], about))
    expect(ids).toEqual(['a-1.1', 'a-1.2'])
    const common = {
      specversion: '1.0',
      source: '/test',
      time: '1970-01-01T00:00:00.000Z',
      partitionkey: 'o-1',
      correlationid: 'c-1',
    }
    expect(await b.events()).toEqual([
      {
        ...common,
        id: 'a-1.1',
        type: 'shop.order.scanned',
        streamversion: 1,
        subject: 'label',
        data: new Uint8Array([0, 255]),
      },
      {
        ...common,
        id: 'a-1.2',
        type: 'shop.order.shipped',
        streamversion: 2,
        dataversion: 2,
        data: { by: 'SHIP' },
      },
    ])
  })

  it('keeps apart the versions of streams of the same id', async () => {
    const b = bench()
    const process = await start(b)
    await b.drive(process.append(Order, 'x', [cancelled('late')]))
    await b.drive(process.append(Customer, 'x', [{ type: Joined, data: {} }], { expectedVersion: 0 }))
    expect(await b.drive(process.streamVersion(Order, 'x'))).toBe(1)
    expect(await b.drive(process.streamVersion(Customer, 'x'))).toBe(1)
  })

  const expectations: readonly [AppendOptions['expectedVersion'], number, boolean][] = [
    [0, 0, true],
    [0, 1, false],
    [1, 0, false],
    [1, 1, true],
    [2, 1, false],
    ['no-stream', 0, true],
    ['no-stream', 1, false],
    ['stream-exists', 0, false],
    ['stream-exists', 1, true],
    ['any', 0, true],
    ['any', 1, true],
  ]
  it.each(expectations)(
    'that expects %j of a stream at version %i is done: %j',
    async (expected, at, isDone) => {
      const b = bench()
      const process = await start(b)
      if (at > 0) await b.drive(process.append(Order, 'o-1', [placed('o-1')]))
      const appended = b.drive(
        process.append(Order, 'o-1', [cancelled('late'), cancelled('so')], {
          expectedVersion: expected ?? 'any',
        }),
      )
      if (isDone) expect((await appended).version).toBe(at + 2)
      else {
        expect(await failure(appended)).toMatchObject({
          code: 'VERSION_CONFLICT',
          retryable: false,
          status: 409,
          facts: { stream: 'order', id: 'o-1', expectedVersion: expected, version: at },
        })
      }
      expect(await stored(b, 'o-1')).toHaveLength(at + (isDone ? 2 : 0))
      expect(await b.drive(process.streamVersion(Order, 'o-1'))).toBe(at + (isDone ? 2 : 0))
      expect(await b.deadLetters()).toEqual([])
    },
  )

  it('lets one of many that expect the same version through, from whichever process they come', async () => {
    const b = bench()
    const processes = [await start(b, { partitions: 4 }), await start(b, { partitions: 4 })]
    const ids = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const version of upTo(3, 0)) {
      const appends = ids.flatMap((id) =>
        upTo(4).map((writer) => {
          const process = processes[writer % 2] as RunningApp
          const options = { expectedVersion: version }
          return process.append(Order, id, [cancelled(`${id} ${version} ${writer}`)], options)
        }),
      )
      const settled = await b.drive(Promise.allSettled(appends))
      const done = settled.filter(({ status }) => status === 'fulfilled')
      expect(done).toHaveLength(ids.length)
      for (const one of settled)
        if (one.status === 'rejected') expect(one.reason.code).toBe('VERSION_CONFLICT')
    }
    for (const id of ids) expect((await stored(b, id)).map((each) => (each as unknown[])[1])).toEqual(upTo(4))
  })

  it('goes on where the versions were after a restart', async () => {
    const b = bench()
    const process = await start(b)
    await b.drive(process.append(Order, 'o-1', [placed('o-1')]))
    await b.stop(process)
    const next = await start(b)
    expect(await b.drive(next.streamVersion(Order, 'o-1'))).toBe(1)
    expect(
      (await b.drive(next.append(Order, 'o-1', [cancelled('late')], { expectedVersion: 1 }))).version,
    ).toBe(2)
  })

  it('is done once when commits fail under it', async () => {
    const b = bench()
    let failures = 3
    const fault = (step: string) => {
      const fails = step.startsWith('commit:') && b.state('state/$stream.order/').size > 0 && failures > 0
      if (fails) failures -= 1
      return fails ? new Error('the disk is away') : undefined
    }
    const process = await start(b, { fault })
    await b.drive(process.append(Order, 'o-1', [placed('o-1')]))
    const { version } = await b.drive(
      process.append(Order, 'o-1', [cancelled('late')], { expectedVersion: 1 }),
    )
    expect([version, failures]).toEqual([2, 0])
    expect(await stored(b, 'o-1')).toHaveLength(2)
  })
})

describe('an append with an id', () => {
  it('gives its first answer when it is sent again, by whichever process', async () => {
    const b = bench()
    const [one, two] = [await start(b), await start(b)]
    const again = (process: RunningApp, expectedVersion: number) =>
      b.drive(process.append(Order, 'o-1', [placed('o-1')], { id: 'a-1', expectedVersion }))
    const first = await again(one, 0)
    await b.drive(one.append(Order, 'o-1', [cancelled('late')]))
    expect(await again(two, 0)).toEqual(first)
    expect(await again(one, 0)).toEqual(first)
    expect(await stored(b, 'o-1')).toHaveLength(2)
    expect(await failure(again(one, 2))).toMatchObject({ code: 'ID_REUSED' })
  })

  it('that was refused is refused as before, though the stream has come to what was expected', async () => {
    const b = bench()
    const process = await start(b)
    const late = () =>
      b.drive(process.append(Order, 'o-1', [cancelled('late')], { id: 'a-1', expectedVersion: 1 }))
    expect(await failure(late())).toMatchObject({ code: 'VERSION_CONFLICT', facts: { version: 0 } })
    await b.drive(process.append(Order, 'o-1', [placed('o-1')]))
    expect(await failure(late())).toMatchObject({ code: 'VERSION_CONFLICT', facts: { version: 0 } })
  })

  it('that timed out tells by being sent again', async () => {
    const b = bench()
    let isAway = false
    const fault = (step: string) => (isAway && step.startsWith('commit:') ? new Error('away') : undefined)
    const process = await start(b, { fault })
    const append = (waitTimeoutMs: number) =>
      b.drive(process.append(Order, 'o-1', [placed('o-1')], { id: 'a-1', waitTimeoutMs }))
    isAway = true
    expect(await failure(append(500))).toMatchObject({
      code: 'WAIT_TIMEOUT',
      where: "stream 'order', id 'o-1'",
      facts: { resultId: 'millrace.shop.appends.0.0' },
    })
    isAway = false
    expect((await append(30_000)).version).toBe(1)
    expect(await stored(b, 'o-1')).toHaveLength(1)
  })
})

describe('append refuses, and appends nothing for,', () => {
  const cases: readonly [string, string, unknown[], object?][] = [
    ['no events', 'events', []],
    ['more events than it may have', 'events', upTo(maxAppendedEvents + 1).map(() => cancelled('late'))],
    ['an event of another stream', 'events[1].type', [placed('o-1'), { type: Joined, data: {} }]],
    ['an event of no stream', 'events[0].type', [{ type: Counted, data: { key: 'o-1', n: 1 } }]],
    ['an event of another key', 'events[1].key of', [placed('o-1'), placed('o-2')]],
    ['a version below 0', 'expectedVersion', [placed('o-1')], { expectedVersion: -1 }],
    ['a fraction of a version', 'expectedVersion', [placed('o-1')], { expectedVersion: 0.5 }],
    ['a version that is none', 'expectedVersion', [placed('o-1')], { expectedVersion: 'some' }],
  ]
  it.each(cases)('%s: APPEND_INVALID', async (_, where, events, options) => {
    const b = bench()
    const process = await start(b)
    const appended = b.drive(process.append(Order, 'o-1', events as never, options))
    expect(await failure(appended)).toMatchObject({
      code: 'APPEND_INVALID',
      where: expect.stringContaining(where),
    })
    expect(await b.events('millrace.shop.appends')).toEqual([])
  })

  it('data that does not fit, keys that are none, and streams that there are not', async () => {
    const b = bench()
    const process = await start(b)
    const append = (...given: unknown[]) =>
      failure(b.drive((process.append as (...all: unknown[]) => Promise<unknown>)(...given)))
    const bad = { type: Placed, data: { orderId: 7 } }
    expect(await append(Order, 'o-1', [placed('o-1'), bad])).toMatchObject({
      code: 'DATA_INVALID',
      where: 'events[1].data.orderId',
      facts: { index: 1 },
    })
    expect(await append(Order, 'x'.repeat(513), [cancelled('late')])).toMatchObject({ code: 'KEY_TOO_LONG' })
    expect(await append(Order, 7, [cancelled('late')])).toMatchObject({ code: 'KEY_INVALID' })
    const Unlisted = stream('unlisted', { events: [Counted] })
    expect(await append(Unlisted, 'x', [])).toMatchObject({ code: 'STREAM_UNKNOWN', status: 404 })
    expect(await failure(process.streamVersion(Unlisted, 'x'))).toMatchObject({ code: 'STREAM_UNKNOWN' })
    for (const misuse of [
      ['order', 'o-1', [placed('o-1')]],
      [Order, 'o-1', placed('o-1')],
      [Order, 'o-1', [placed('o-1')], { expected: 1 }],
      [Order, 'o-1', [{ ...placed('o-1'), key: 'o-1' }]],
    ])
      expect(await append(...misuse)).toBeInstanceOf(TypeError)
    expect(await b.events('millrace.shop.appends')).toEqual([])
  })

  it('what is too large together; the largest that is not is appended', async () => {
    const b = bench()
    const process = await start(b, { maxEventBytes: 2_000 })
    const append = (bytes: number) =>
      b.drive(process.append(Order, 'o-1', [cancelled('x'.repeat(bytes))], { id: `${bytes}` }))
    let [fits, not] = [0, 2_000]
    while (not - fits > 1) {
      const middle = Math.floor((fits + not) / 2)
      const error = await failure(append(middle))
      if (error === 'nothing failed') fits = middle
      else {
        expect(error).toMatchObject({ code: 'EVENT_TOO_LARGE' })
        not = middle
      }
    }
    expect(fits).toBeGreaterThan(1_000)
    expect(await b.deadLetters()).toEqual([])
  })
})

describe('an event of a stream', () => {
  it('comes in by appends alone: EVENT_OF_STREAM', async () => {
    const b = bench()
    const refused = { code: 'EVENT_OF_STREAM', facts: { type: 'shop.order.cancelled', stream: 'order' } }
    const attempts: unknown[] = []
    const emitting = on(Counted, { name: 'handler', retry: { attempts: 1 } }, (_, ctx) => {
      try {
        ctx.emit(Cancelled, { reason: 'late' })
      } catch (error) {
        attempts.push(error)
      }
    })
    const taking = on(Cancelled, { name: 'taking' }, () => {})
    const process = await start(b, { handlers: [emitting, taking] })
    const data = { reason: 'late' }
    const incoming = { specversion: '1.0', id: '1', source: '/x', type: Cancelled.type, data } as const
    expect(await failure(process.publish(Cancelled, data))).toMatchObject(refused)
    expect(await failure(process.publish(Cancelled, data, { delay: 5 }))).toMatchObject(refused)
    expect(await failure(process.send(taking, Cancelled, data))).toMatchObject(refused)
    expect(await failure(process.accept([incoming]))).toMatchObject(refused)
    await loadCompiler()
    const emit = { emit: Cancelled.type, data: '{"reason": "late"}' }
    const rule = { name: 'r', pattern: { type: Counted.type }, actions: [emit] }
    expect(await failure(b.drive(process.rules.put([rule])))).toMatchObject(refused)
    await b.drive(process.publish(Counted, { key: 'k', n: 1 }))
    await b.settle(process)
    expect(attempts).toMatchObject([refused])
    expect((await b.events()).map(({ type }) => type)).toEqual([Counted.type])
  })

  it('has its version from nobody else: EVENT_INVALID', async () => {
    const b = bench()
    const process = await start(b)
    const event = { specversion: '1.0', id: '1', source: '/x', type: Counted.type, streamversion: 3 } as const
    const claimed = process.accept([{ ...event, data: { key: 'k', n: 1 } } as unknown as Event])
    expect(await failure(claimed)).toMatchObject({ code: 'EVENT_INVALID', where: 'streamversion' })
  })

  it('may be of a stream that an application without it has taken the appends of: they wait for one that has it', async () => {
    const b = bench()
    const before = await start(b, { streams: [Customer] })
    await b.drive(before.append(Customer, 'x', [{ type: Joined, data: {} }]))
    const behind = await start(b)
    const append = behind.append(Order, 'o-1', [placed('o-1')], { waitTimeoutMs: 1_000, id: 'a-1' })
    expect(await failure(b.drive(append))).toMatchObject({ code: 'WAIT_TIMEOUT' })
    await b.stop(before)
    const again = behind.append(Order, 'o-1', [placed('o-1')], { id: 'a-1' })
    expect((await b.drive(again)).version).toBe(1)
    expect(await stored(b, 'o-1')).toHaveLength(1)
  })
})

describe('a stream that an application has no more', () => {
  it('keeps nobody, and goes on where it was when it comes back', async () => {
    const b = bench()
    const place = 'subscription/$stream.order/'
    const placeOf = () => [...b.state(place).values()] as { gone?: true }[]
    const both = await start(b)
    await b.drive(both.append(Order, 'o-1', [placed('o-1')]))
    await b.stop(both)
    const without = await start(b, { streams: [Customer] })
    expect(placeOf()).toMatchObject([{ gone: true }])
    await b.stop(without)
    const again = await start(b)
    expect(placeOf()).toEqual([expect.not.objectContaining({ gone: true })])
    expect(
      (await b.drive(again.append(Order, 'o-1', [cancelled('late')], { expectedVersion: 1 }))).version,
    ).toBe(2)
  })
})

describe('stream', () => {
  const declare = stream as (...given: unknown[]) => unknown
  const Ask = command('shop.ask', { schema: z.object({}), result: z.object({}) })
  const Elsewhere = event('shop.elsewhere', { schema: z.object({}), topic: 'elsewhere' })
  it.each([
    [7, { events: [Placed] }],
    ['', { events: [Placed] }],
    ['a/b', { events: [Placed] }],
    ['order', undefined],
    ['order', { events: [] }],
    ['order', { events: Placed }],
    ['order', { events: [undefined] }],
    ['order', { events: [Placed], more: true }],
    ['order', { events: [Ask] }],
    ['order', { events: [Placed, Elsewhere] }],
  ])('%j of %j is a TypeError', (...given) => {
    expect(() => declare(...given)).toThrow(TypeError)
  })

  it('fits into an application, or is APP_INVALID', () => {
    const name = 'shop'
    expect(() => app({ name, streams: [{} as never] })).toThrow(TypeError)
    const invalid = expect.objectContaining({ code: 'APP_INVALID' })
    expect(() => app({ name, streams: [Order, stream('order', { events: [Joined] })] })).toThrow(invalid)
    expect(() => app({ name, streams: [Order, stream('other', { events: [Placed] })] })).toThrow(invalid)
    const source = { name: 's', events: [Placed], open: () => undefined } as never
    expect(() => app({ name, streams: [Order], sources: [source] })).toThrow(invalid)
    expect(app({ name, streams: [Order] }).events.get(Placed.type)).toBe(Placed)
  })

  it('is shown among the handlers, by what its owner has to do', async () => {
    const b = bench()
    const process = await start(b)
    await b.drive(process.append(Order, 'o-1', [placed('o-1')]))
    const statuses = await process.status()
    expect(statuses.map(({ name }) => name)).toEqual(['$stream.order', '$stream.customer'])
    expect(statuses[0]).toMatchObject({ lag: 0, counts: { handled: 1, deadLettered: 0 } })
  })
})
