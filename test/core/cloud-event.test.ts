import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isRfc3339, parseCloudEvent } from '../../src/core/cloud-event.ts'
import { MillraceError } from '../../src/core/errors.ts'
import type { Event } from '../../src/core/event.ts'
import { decodeEvent, encodeEvent, eventToJson } from '../../src/core/event-codec.ts'

const smallest = { specversion: '1.0', id: '1', source: '/test', type: 'thing.happened' }

function refusal(value: unknown, where = ''): { code: string; where: string | undefined } {
  try {
    parseCloudEvent(value, where)
  } catch (error) {
    if (error instanceof MillraceError) return { code: error.code, where: error.where }
    throw error
  }
  throw new Error('It was taken.')
}

describe('what is taken', () => {
  test('an event of the required attributes alone is taken, with no time and no data', () => {
    const event = parseCloudEvent(smallest, '')
    expect(event).toEqual(smallest)
    expect('time' in event).toBe(false)
    expect(event.data).toBeUndefined()
  })

  test('every attribute and extension comes out as it went in', () => {
    const full = {
      ...smallest,
      time: '2026-02-28T23:59:60.123456+05:30',
      subject: 'Zürich 機場',
      datacontenttype: 'text/plain; charset=utf-8',
      dataschema: 'https://example.com/schema#1',
      partitionkey: 'ZRH',
      correlationid: 'c',
      causationid: 'd',
      traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
      hops: 3,
      flag: true,
      level: -2147483648,
      empty: '',
      data: 'text',
    }
    expect(parseCloudEvent(full, '')).toEqual(full)
  })

  test('an attribute that is null counts as absent', () => {
    const event = parseCloudEvent({ ...smallest, subject: null, time: null, custom: null }, '')
    expect(Object.keys(event).sort()).toEqual(['data', 'id', 'source', 'specversion', 'type'])
  })

  test('data that is null is data', () => {
    expect(parseCloudEvent({ ...smallest, data: null }, '').data).toBeNull()
  })
})

const refused: readonly [name: string, value: unknown, code: string, where: string][] = [
  ['no object', 'text', 'EVENT_INVALID', 'event'],
  ['null', null, 'EVENT_INVALID', 'event'],
  ['an array', [], 'EVENT_INVALID', 'event'],
  ['no specversion', { ...smallest, specversion: undefined }, 'EVENT_INVALID', 'specversion'],
  ['another specversion', { ...smallest, specversion: '0.3' }, 'EVENT_INVALID', 'specversion'],
  ['a specversion that is a number', { ...smallest, specversion: 1 }, 'EVENT_INVALID', 'specversion'],
  ['no id', { ...smallest, id: undefined }, 'EVENT_INVALID', 'id'],
  ['an id that is null', { ...smallest, id: null }, 'EVENT_INVALID', 'id'],
  ['an empty id', { ...smallest, id: '' }, 'EVENT_INVALID', 'id'],
  ['an id that is a number', { ...smallest, id: 1 }, 'EVENT_INVALID', 'id'],
  ['an id with a control character', { ...smallest, id: 'a\u0007' }, 'EVENT_INVALID', 'id'],
  ['no source', { ...smallest, source: undefined }, 'EVENT_INVALID', 'source'],
  ['an empty source', { ...smallest, source: '' }, 'EVENT_INVALID', 'source'],
  ['a source with a space', { ...smallest, source: 'my shop' }, 'EVENT_INVALID', 'source'],
  ['no type', { ...smallest, type: undefined }, 'EVENT_INVALID', 'type'],
  ['an empty type', { ...smallest, type: '' }, 'EVENT_INVALID', 'type'],
  ['a time of a day that is none', { ...smallest, time: '2025-02-29T00:00:00Z' }, 'EVENT_INVALID', 'time'],
  ['a time without an offset', { ...smallest, time: '2026-01-31T08:00:00' }, 'EVENT_INVALID', 'time'],
  ['a time that is a number', { ...smallest, time: 0 }, 'EVENT_INVALID', 'time'],
  ['an empty subject', { ...smallest, subject: '' }, 'EVENT_INVALID', 'subject'],
  ['a subject with a lone surrogate', { ...smallest, subject: '\ud800' }, 'EVENT_INVALID', 'subject'],
  ['a media type that is none', { ...smallest, datacontenttype: 'json' }, 'EVENT_INVALID', 'datacontenttype'],
  ['a relative dataschema', { ...smallest, dataschema: 'schema.json' }, 'EVENT_INVALID', 'dataschema'],
  ['an upper-case attribute name', { ...smallest, dataSchema: 'x' }, 'EVENT_INVALID', 'dataSchema'],
  ['an attribute name with a hyphen', { ...smallest, 'trace-id': 'x' }, 'EVENT_INVALID', 'trace-id'],
  ['an empty attribute name', { ...smallest, '': 'x' }, 'EVENT_INVALID', ''],
  ['an extension that is an object', { ...smallest, custom: {} }, 'EVENT_INVALID', 'custom'],
  ['an extension that is a fraction', { ...smallest, custom: 1.5 }, 'EVENT_INVALID', 'custom'],
  ['an extension beyond 32 bits', { ...smallest, custom: 2147483648 }, 'EVENT_INVALID', 'custom'],
  ['hops that are a string', { ...smallest, hops: '3' }, 'EVENT_INVALID', 'hops'],
  ['hops below zero', { ...smallest, hops: -1 }, 'EVENT_INVALID', 'hops'],
  ['a key that is a number', { ...smallest, partitionkey: 7 }, 'KEY_INVALID', 'partitionkey'],
  ['an empty key', { ...smallest, partitionkey: '' }, 'EVENT_INVALID', 'partitionkey'],
  ['a key beyond 512 bytes', { ...smallest, partitionkey: 'é'.repeat(257) }, 'KEY_TOO_LONG', 'partitionkey'],
  ['data twice', { ...smallest, data: 1, data_base64: 'AQ==' }, 'EVENT_INVALID', 'data_base64'],
  ['base64 that is a number', { ...smallest, data_base64: 1 }, 'EVENT_INVALID', 'data_base64'],
  ['base64 without padding', { ...smallest, data_base64: 'AQ' }, 'EVENT_INVALID', 'data_base64'],
  ['base64 of URLs', { ...smallest, data_base64: '-_-_' }, 'EVENT_INVALID', 'data_base64'],
  ['base64 with a line break', { ...smallest, data_base64: 'AAAA\nAAAA' }, 'EVENT_INVALID', 'data_base64'],
  ['base64 with stray bits', { ...smallest, data_base64: 'AR==' }, 'EVENT_INVALID', 'data_base64'],
]

describe('what is refused, with the path of what is wrong', () => {
  test.each(refused)('%s', (_name, value, code, where) => {
    expect(refusal(value)).toEqual({ code, where })
  })

  test('the path begins with the place of the event', () => {
    expect(refusal({ ...smallest, id: '' }, '[3]').where).toBe('[3].id')
    expect(refusal(7, '[3]').where).toBe('[3]')
  })
})

describe('RFC 3339', () => {
  test('every time that a Date can write is one', () => {
    fc.assert(
      fc.property(
        fc.date({ min: new Date('0000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true }),
        (date) => {
          expect(isRfc3339(date.toISOString())).toBe(true)
        },
      ),
    )
  })

  test.each(['2024-02-29T00:00:00Z', '2000-02-29T23:59:60Z', '2026-01-31t08:00:00.5-00:00'])(
    '%j is one',
    (text) => {
      expect(isRfc3339(text)).toBe(true)
    },
  )

  test.each([
    '2026-13-01T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-04-31T00:00:00Z',
    '1900-02-29T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:61Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00.Z',
    '2026-01-01 00:00:00Z',
    '2026-01-01T00:00:00Z\n',
  ])('%j is none', (text) => {
    expect(isRfc3339(text)).toBe(false)
  })
})

describe('through the codec and back', () => {
  const attributes = fc.record(
    {
      time: fc.constant('2026-01-31T08:00:00Z'),
      subject: fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !/\p{Cc}/u.test(text)),
      custom: fc.oneof(fc.boolean(), fc.integer(), fc.stringMatching(/^[ -~]*$/)),
    },
    { requiredKeys: ['time'], noNullPrototype: true },
  )
  const data = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constant(-0),
    fc.boolean(),
    fc.constant(null),
    fc.jsonValue({ maxDepth: 4 }),
    fc.record({ deep: fc.array(fc.constant(-0), { minLength: 1 }) }, { noNullPrototype: true }),
    fc.uint8Array(),
  )

  test('data of every kind comes back exactly as it went in', () => {
    fc.assert(
      fc.property(attributes, data, (given, value) => {
        const event = { ...smallest, ...given, data: value } as Event
        const decoded = decodeEvent(encodeEvent(event))
        expect(decoded).toStrictEqual(event)
      }),
    )
  })

  test('an event that was written as JSON parses to the same event', () => {
    fc.assert(
      fc.property(attributes, data, (given, value) => {
        const event = { ...smallest, ...given, data: value } as Event
        expect(parseCloudEvent(JSON.parse(eventToJson(event)), '')).toStrictEqual(event)
      }),
    )
  })
})
