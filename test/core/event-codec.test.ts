import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import {
  decodeEvent,
  encodeCopied,
  encodeEvent,
  eventToJson,
  jsonCopy,
  notCopied,
  storableJson,
} from '../../src/core/event-codec.ts'

const attributes = {
  specversion: '1.0',
  id: '017f22e2-79b0-7cc3-98c4-dc0c0c07398f',
  source: 'shop',
  type: 'shop.order.placed',
  time: '2026-01-02T03:04:05.678Z',
} as const

const eventOf = (data: unknown): Event => ({ ...attributes, data })
const there = (data: unknown) => decodeEvent(encodeEvent(eventOf(data))).data

/** The code and the place of a refusal. */
function refusalOf(run: () => unknown): readonly [string, string | undefined] {
  try {
    run()
  } catch (error) {
    if (isMillraceError(error)) return [error.code, error.where]
    throw error
  }
  throw new Error('nothing was refused')
}

describe('data comes back as it went in', () => {
  test('text of any kind, lone surrogates included', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void expect(there(text)).toBe(text)))
    expect(there('\ud800')).toBe('\ud800')
    expect(there('\u0000\u2028"\\')).toBe('\u0000\u2028"\\')
  })

  test('every finite number, negative zero included', () => {
    const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
    fc.assert(fc.property(finite, (number) => Object.is(there(number), number)))
    expect(Object.is(there(-0), -0)).toBe(true)
    expect(there({ at: [-0, 0] })).toEqual({ at: [-0, 0] })
  })

  test.each([true, false, null, '', 0, [], {}])('%j', (value) => {
    expect(there(value)).toEqual(value)
  })

  test('any JSON', () => {
    fc.assert(fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => void expect(there(value)).toEqual(value)))
  })

  test('any bytes, as bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1000 }), (bytes) => {
        const back = there(bytes)
        expect(back).toBeInstanceOf(Uint8Array)
        expect(back).toEqual(bytes)
      }),
    )
  })

  test('the bytes of a view, and not those around it', () => {
    expect(there(Uint8Array.from([1, 2, 3, 4]).subarray(1, 3))).toEqual(Uint8Array.from([2, 3]))
    expect(there(Buffer.from('Zürich'))).toEqual(new Uint8Array(Buffer.from('Zürich')))
  })

  test('a member named __proto__, as a member', () => {
    const value: unknown = JSON.parse('{"__proto__":{"admin":true}}')
    expect(Object.keys(there(value) as object)).toEqual(['__proto__'])
  })

  test('a member that is undefined counts as absent', () => {
    expect(Object.keys(there({ here: 1, gone: undefined }) as object)).toEqual(['here'])
  })

  test('no data at all stays no data', () => {
    expect('data' in decodeEvent(encodeEvent(eventOf(undefined)))).toBe(false)
  })
})

describe('a copy', () => {
  /** Checks that a copy is what is stored, and what is stored is what would be without it. */
  function checkCopy(data: unknown): void {
    const copied = Object.freeze(eventOf(jsonCopy(data)))
    expect(copied.data).not.toBe(notCopied)
    expect(encodeCopied(copied)).toEqual(encodeEvent(eventOf(data)))
    expect(copied).toStrictEqual(decodeEvent(encodeCopied(copied)))
  }

  test('is what reading the stored event gives', () => {
    const withoutCare = fc.jsonValue({ maxDepth: 6 }).map((value) => JSON.parse(JSON.stringify(value)))
    fc.assert(
      fc.property(withoutCare, (data) => {
        fc.pre(!JSON.stringify(data).includes('"__proto__"'))
        checkCopy(data)
      }),
    )
    checkCopy('\ud800')
    checkCopy({ a: undefined, 2: [], 1: Object.create(null) })
    checkCopy(Object.create(null, { hidden: { value: 1, enumerable: false } }))
  })

  test('is frozen through and through, and shares nothing with what it was made of', () => {
    const data = { list: [{ n: 1 }] }
    const copy = jsonCopy(data) as typeof data
    data.list.push({ n: 2 })
    expect(copy).toStrictEqual({ list: [{ n: 1 }] })
    for (const part of [copy, copy.list, copy.list[0]]) expect(Object.isFrozen(part)).toBe(true)
  })

  test.each([
    ['negative zero', -0],
    ['negative zero inside', { at: [-0] }],
    ['no number', Number.NaN],
    ['bytes', new Uint8Array(1)],
    ['an instance of a class', { at: new Date(0) }],
    ['a hole', new Array(1)],
    ['a member named __proto__', JSON.parse('{"__proto__":{}}')],
  ])('is not made of %s', (_, data) => {
    expect(jsonCopy(data)).toBe(notCopied)
  })

  test('is not made of what is nested deeper than can be stored', () => {
    let nested: unknown[] = []
    for (let depth = 1; depth < 512; depth += 1) nested = [nested]
    expect(jsonCopy(nested)).not.toBe(notCopied)
    expect(jsonCopy([nested])).toBe(notCopied)
    expect(() => encodeEvent(eventOf([nested]))).toThrow()
  })
})

test('attributes and extensions come back beside the data', () => {
  const event: Event = { ...attributes, subject: 's', partitionkey: 'k', hops: 3, data: { orderId: '1' } }
  expect(decodeEvent(encodeEvent(event))).toEqual(event)
  const bytes: Event = { ...event, data: Uint8Array.of(1) }
  expect(decodeEvent(encodeEvent(bytes))).toEqual(bytes)
})

test('what is stored is the JSON format of CloudEvents', () => {
  expect(JSON.parse(eventToJson(eventOf({ a: 1 })))).toEqual({ ...attributes, data: { a: 1 } })
  expect(JSON.parse(eventToJson(eventOf(Uint8Array.of(255))))).toEqual({ ...attributes, data_base64: '/w==' })
})

test('a decoded event is frozen through and through, because handlers share it', () => {
  const event = decodeEvent(encodeEvent(eventOf({ list: [{ deep: true }] })))
  const { list } = event.data as { list: readonly object[] }
  for (const part of [event, event.data, list, list[0]]) expect(Object.isFrozen(part)).toBe(true)
})

class Money {
  readonly amount = 1
}

/** An object that holds itself. */
function circular(): object {
  const value: { self?: object } = {}
  value.self = value
  return value
}

const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

describe('data that JSON would change is refused, with its path', () => {
  test.each([
    ['NaN', Number.NaN, ''],
    ['an infinite number in a list', [1, Number.POSITIVE_INFINITY], '[1]'],
    ['a bigint', { total: 1n }, '.total'],
    ['a date', { placed: { at: new Date(0) } }, '.placed.at'],
    ['a map', { lines: [{ tags: new Map() }] }, '.lines[0].tags'],
    ['an instance of a class', { price: new Money() }, '.price'],
    ['bytes inside of JSON', { file: Uint8Array.of(1) }, '.file'],
    ['a function', { run: () => 1 }, '.run'],
    ['a symbol', Symbol('s'), ''],
    ['undefined in a list', [undefined], '[0]'],
    ['a hole in a list', new Array(1), '[0]'],
    ['an object with toJSON', { toJSON: () => 1 }, ''],
  ])('%s', (_name, data, path) => {
    expect(refusalOf(() => encodeEvent(eventOf(data)))).toEqual(['DATA_NOT_STORABLE', `data${path}`])
    expect(refusalOf(() => storableJson(data, 'result'))).toEqual(['DATA_NOT_STORABLE', `result${path}`])
  })

  test('what holds itself, or is nested deeper than 512 levels', () => {
    expect(refusalOf(() => encodeEvent(eventOf(circular())))[0]).toBe('DATA_NOT_STORABLE')
    expect(refusalOf(() => encodeEvent(eventOf(nested(513))))[0]).toBe('DATA_NOT_STORABLE')
    expect(there(nested(512))).toEqual(nested(512))
  })
})

describe('stored bytes that are no event are EVENT_INVALID', () => {
  test.each(['', '{', 'null', '1', '[]', '{"id":"1"}', '{"id":1,"type":"a"}', '{"type":"a"}'])(
    '%j',
    (text) => {
      expect(refusalOf(() => decodeEvent(Buffer.from(text)))[0]).toBe('EVENT_INVALID')
    },
  )

  test('bytes that are no UTF-8', () => {
    const bytes = Buffer.from('{"id":"1","type":"a","data":"\u00ff"}', 'latin1')
    expect(refusalOf(() => decodeEvent(bytes))[0]).toBe('EVENT_INVALID')
  })
})
