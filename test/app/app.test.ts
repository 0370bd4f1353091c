import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type AnyHandlerDefinition, app, isApp } from '../../src/app/app.ts'
import { http } from '../../src/app/http.ts'
import { every, on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'

const schema = z.object({ orderId: z.string() })
const Placed = event('order.placed', { schema })
const Cancelled = event('order.cancelled', { schema })
const work = () => {}

/** Calls `app` as a program without types could. */
const declare = app as (options?: unknown) => unknown

describe('app', () => {
  test('knows every event type that a handler or the list names', () => {
    const shop = app({
      name: 'shop',
      handlers: [on(Placed, { name: 'a' }, work)],
      events: [Cancelled, Placed],
    })
    expect([...shop.events]).toEqual([
      ['order.placed', Placed],
      ['order.cancelled', Cancelled],
    ])
  })

  test('needs only a name, and is frozen', () => {
    const shop = app({ name: 'shop' })
    expect(shop).toMatchObject({ name: 'shop', handlers: [], routes: [], topics: {} })
    expect(Object.isFrozen(shop)).toBe(true)
  })

  test('does not follow later changes of the lists it was given', () => {
    const handlers: AnyHandlerDefinition[] = [on(Placed, { name: 'a' }, work)]
    const shop = app({ name: 'shop', handlers })
    handlers.push(on(Cancelled, { name: 'b' }, work))
    expect(shop.handlers.map(({ name }) => name)).toEqual(['a'])
  })

  test('takes the same event type from many handlers', () => {
    const handlers = [on(Placed, { name: 'a' }, work), on([Placed, Cancelled], { name: 'b' }, work)]
    expect(app({ name: 'shop', handlers }).events.size).toBe(2)
  })

  test('refuses two handlers of one name, of whatever kind', () => {
    const handlers = [on(Placed, { name: 'a' }, work), every('* * * * *', { name: 'a' }, work)]
    expect(() => app({ name: 'shop', handlers })).toThrow(
      expect.objectContaining({ code: 'HANDLER_NAME_TAKEN', where: "app 'shop'" }),
    )
  })

  test('refuses two event types of one name', () => {
    const other = event('order.placed', { schema: z.string() })
    const handlers = [on(Placed, { name: 'a' }, work)]
    expect(() => app({ name: 'shop', handlers, events: [other] })).toThrow(
      expect.objectContaining({ code: 'APP_INVALID', where: "app 'shop'" }),
    )
  })

  test.each([
    undefined,
    {},
    { name: '' },
    { name: 'a b' },
    { name: 'millrace.shop' },
    { name: 'shop', handlers: [work] },
    { name: 'shop', handlers: [undefined] },
    { name: 'shop', routes: [undefined] },
    { name: 'shop', routes: [work] },
    { name: 'shop', events: ['order.placed'] },
    { name: 'shop', topics: { 'a b': {} } },
    { name: 'shop', topics: { 'millrace.a': {} } },
    { name: 'shop', hopLimit: 0 },
    { name: 'shop', maxEventBytes: Number.NaN },
  ])('refuses %j', (options) => {
    expect(() => declare(options)).toThrow(TypeError)
  })
})

test('isApp knows what app made, and nothing that looks like it', () => {
  const shop = app({ name: 'shop' })
  expect(isApp(shop)).toBe(true)
  for (const other of [{ ...shop }, null, undefined, 'shop', work]) expect(isApp(other)).toBe(false)
})

describe('http', () => {
  test.each(['get', 'post', 'put', 'patch', 'delete'] as const)(
    '%s declares a route of its method',
    (name) => {
      const handler = () => Response.json({})
      const route = http[name]('/orders/:id', {}, handler)
      expect(route).toEqual({ method: name.toUpperCase(), path: '/orders/:id', options: {}, handler })
      expect(Object.isFrozen(route)).toBe(true)
    },
  )

  const declareRoute = http.get as (...parts: unknown[]) => unknown
  const answer = () => Response.json({})

  test.each([
    ['a path without its slash', ['orders', {}, answer]],
    ['no path', [undefined, {}, answer]],
    ['a handler in the place of the options', ['/orders', answer]],
    ['a handler that is no function', ['/orders', {}, { handle: answer }]],
    ['a body that is no schema', ['/orders', { body: { orderId: 'string' } }, answer]],
  ])('refuses %s', (_name, parts) => {
    expect(() => declareRoute(...parts)).toThrow(TypeError)
  })
})
