import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { every, nextFiring, on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'

const Placed = event('order.placed', { schema: z.object({ orderId: z.string() }) })
const Cancelled = event('order.cancelled', { schema: z.object({ orderId: z.string() }) })

/** Call them as a program without types could. */
const declareOn = on as (...parts: unknown[]) => unknown
const declareEvery = every as (...parts: unknown[]) => unknown

const work = () => 'done'
const ignored = [undefined, undefined] as never as Parameters<ReturnType<typeof on>['run']>

describe('on', () => {
  test('takes one event type or several, and is frozen', () => {
    const one = on(Placed, { name: 'one' }, work)
    expect(one).toMatchObject({ name: 'one', kind: 'on', events: [Placed], schedule: undefined })
    expect(on([Placed, Cancelled], { name: 'two' }, work).events).toEqual([Placed, Cancelled])
    expect(Object.isFrozen(one)).toBe(true)
  })

  test.each(['', 'a b', 'a.', '.a', 'ä', 'a\n', 'a'.repeat(129), undefined, null, 7])(
    'refuses the name %j',
    (name) => {
      expect(() => declareOn(Placed, { name }, work)).toThrow(TypeError)
    },
  )

  test.each([undefined, null, 'order.placed', {}, [[]], [Placed, undefined], []])(
    'refuses %j where event types belong',
    (events) => {
      expect(() => declareOn(events, { name: 'a' }, work)).toThrow(TypeError)
    },
  )

  test.each([
    { retry: { attempts: 0 } },
    { retry: { attempts: 1.5 } },
    { retry: { attempts: '3' } },
    { retry: { baseMs: -1 } },
    { retry: { maxMs: Number.NaN } },
    { timeoutMs: 0 },
    { timeoutMs: Number.POSITIVE_INFINITY },
    { concurrency: 0 },
    { concurrency: 2.5 },
    { from: 'beginning' },
    { from: new Date(Number.NaN) },
    { from: 0 },
    { from: null },
    { catchUp: 'quiet' },
    { whenExhausted: 'drop' },
    { group: 'a b' },
    { state: { left: {} } },
    { state: { left: undefined } },
    { state: { 'a b': z.string() } },
  ])('refuses the options %j', (options) => {
    expect(() => declareOn(Placed, { name: 'a', ...options }, work)).toThrow(TypeError)
  })

  test.each([
    { retry: { attempts: 1, baseMs: 1, maxMs: 1 }, timeoutMs: 1, concurrency: 1 },
    { from: 'start', catchUp: 'silent' },
    { from: 'now', catchUp: 'live' },
    { from: new Date(0), whenExhausted: 'park', group: 'slow' },
    { state: { left: z.int().default(100) } },
  ])('takes the options %j', (options) => {
    expect(() => declareOn(Placed, { name: 'a', ...options }, work)).not.toThrow()
  })
})

describe('the forms of a handler behave alike', () => {
  class Worker {
    readonly #result = 'done'
    handle() {
      return this.#result
    }
  }

  test.each([
    ['a function', work],
    ['an object', { handle: work }],
    ['an instance of a class, with its own this', new Worker()],
    ['a module that exports a function', { default: work }],
    ['a module that exports an object', { default: { handle: work } }],
    ['a module that exports an instance', { default: new Worker() }],
  ])('%s', (_form, handler) => {
    expect(on(Placed, { name: 'a' }, handler).run(...ignored)).toBe('done')
    expect(every('* * * * *', { name: 'b' }, handler).run(...ignored)).toBe('done')
  })

  test.each([undefined, null, 'work', {}, { handle: 'work' }, { default: undefined }, { default: {} }])(
    '%j is none',
    (handler) => {
      expect(() => declareOn(Placed, { name: 'a' }, handler)).toThrow(TypeError)
      expect(() => declareEvery('* * * * *', { name: 'a' }, handler)).toThrow(TypeError)
    },
  )
})

describe('every', () => {
  test('is in UTC unless told, and begins with its next firing', () => {
    const nightly = every('0 3 * * *', { name: 'nightly' }, work)
    expect(nightly).toMatchObject({
      kind: 'every',
      events: [],
      schedule: { pattern: '0 3 * * *', timezone: 'UTC' },
      options: { from: 'now' },
    })
    const local = every('0 3 * * *', { name: 'local', timezone: 'Europe/Zurich' }, work)
    expect(local.schedule).toEqual({ pattern: '0 3 * * *', timezone: 'Europe/Zurich' })
  })

  test.each([
    ['', {}],
    ['* * * *', {}],
    ['61 * * * *', {}],
    ['every day', {}],
    ['0 3 * * *', { timezone: 'Europe/Nowhere' }],
    [undefined, {}],
    [null, {}],
  ])('refuses %j %j as CRON_INVALID, naming the schedule', (pattern, options) => {
    expect(() => declareEvery(pattern, { name: 'nightly', ...options }, work)).toThrow(
      expect.objectContaining({ code: 'CRON_INVALID', where: "every 'nightly'" }),
    )
  })

  test('refuses a name and options as on does', () => {
    expect(() => declareEvery('* * * * *', { name: 'a b' }, work)).toThrow(TypeError)
    expect(() => declareEvery('* * * * *', { name: 'a', timeoutMs: 0 }, work)).toThrow(TypeError)
  })
})

describe('nextFiring', () => {
  const at = (text: string) => Date.parse(text)
  const next = (pattern: string, timezone: string, after: string) => {
    const firing = nextFiring({ pattern, timezone }, at(after), 'a')
    return firing === undefined ? undefined : new Date(firing).toISOString()
  }

  test('is after the time given, never at it', () => {
    expect(next('0 3 * * *', 'UTC', '2026-01-01T02:59:59.999Z')).toBe('2026-01-01T03:00:00.000Z')
    expect(next('0 3 * * *', 'UTC', '2026-01-01T03:00:00.000Z')).toBe('2026-01-02T03:00:00.000Z')
    expect(next('*/10 * * * * *', 'UTC', '2026-01-01T00:00:00.000Z')).toBe('2026-01-01T00:00:10.000Z')
  })

  test('follows the clocks of its time zone, through the change of summer time', () => {
    expect(next('0 3 * * *', 'Europe/Zurich', '2026-03-28T12:00:00Z')).toBe('2026-03-29T01:00:00.000Z')
    expect(next('0 3 * * *', 'Europe/Zurich', '2026-03-29T12:00:00Z')).toBe('2026-03-30T01:00:00.000Z')
    expect(next('0 3 * * *', 'Europe/Zurich', '2026-10-25T12:00:00Z')).toBe('2026-10-26T02:00:00.000Z')
  })

  test('is undefined for a schedule that never fires again', () => {
    expect(next('0 0 30 2 *', 'UTC', '2026-01-01T00:00:00Z')).toBeUndefined()
  })
})
