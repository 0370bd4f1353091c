import { describe, expect, test } from 'vitest'
import { eventOf, type Mapping } from '../../../src/cli/ingest/mapping.ts'

const nowMs = Date.UTC(2026, 0, 31)
const now = '2026-01-31T00:00:00.000Z'

function map(line: unknown, mapping: Mapping = { type: 'test.happened' }) {
  const bytes = Buffer.from(typeof line === 'string' ? line : JSON.stringify(line))
  return eventOf({ number: 1, bytes, totalBytes: bytes.length }, mapping, {
    id: 'made',
    nowMs,
    maxBytes: 500,
  })
}

function timeOf(at: unknown): string {
  return map({ at }, { type: 'test.happened', timeField: 'at' }).time
}

describe('the event of a line', () => {
  test('has the whole line as its data, and an id and a time of its own where none is named', () => {
    expect(map({ a: [1] })).toEqual({
      specversion: '1.0',
      id: 'made',
      source: 'millrace-ingest',
      type: 'test.happened',
      time: now,
      data: { a: [1] },
    })
  })

  test('takes its attributes from the fields that are named, nested ones by their path', () => {
    const mapping = {
      type: 'test.happened',
      source: 'here',
      idField: 'order.id',
      subjectField: 'a.b',
      keyField: 'sku',
      timeField: 'at',
    }
    const data = { order: { id: 7 }, 'a.b': 'subject', sku: 'k', at: '2001-01-14T21:55:00+02:00' }
    expect(map(data, mapping)).toMatchObject({
      id: '7',
      source: 'here',
      subject: 'subject',
      partitionkey: 'k',
      time: '2001-01-14T21:55:00+02:00',
      data,
    })
  })

  test.each([
    ['2001/01/14 21:55', '2001-01-14T21:55:00.000Z'],
    ['2015-09-12T00:46:58', '2015-09-12T00:46:58.000Z'],
    ['2015-09-12', '2015-09-12T00:00:00.000Z'],
    ['12 Sep 2015 02:00:00 +0200', '2015-09-12T00:00:00.000Z'],
    [1442016000, '2015-09-12T00:00:00.000Z'],
    [1442016000000, '2015-09-12T00:00:00.000Z'],
  ])('reads the time %s as %s, wherever it runs', (given, expected) => {
    expect(timeOf(given)).toBe(expected)
  })

  test.each([undefined, null, 'soon', '', {}, true])('refuses %s as a time', (given) => {
    expect(() => timeOf(given)).toThrow(expect.objectContaining({ code: 'EVENT_INVALID', where: 'at' }))
  })

  test('of a line that is a CloudEvent keeps its attributes and completes them', () => {
    const event = { specversion: '1.0', type: 'shop.paid', id: 'x', source: '/shop', extra: 'kept' }
    expect(map({ ...event, data: 1 })).toEqual({ ...event, time: now, data: 1 })
    expect(map({ specversion: '1.0', type: 'shop.paid', data_base64: 'AAE=' })).toMatchObject({
      id: 'made',
      source: 'millrace-ingest',
      data: new Uint8Array([0, 1]),
    })
  })

  test.each([
    ['{"a":', 'JSON_INVALID', 'column 6'],
    ['{"a":1,}', 'JSON_INVALID', 'column 8'],
    ['', 'JSON_INVALID', undefined],
    ['{"specversion":"0.3","type":"a"}', 'EVENT_INVALID', 'specversion'],
    [`"${'x'.repeat(600)}"`, 'EVENT_TOO_LARGE', undefined],
  ])('of %s is refused with %s', (text, code, where) => {
    expect(() => map(text)).toThrow(expect.objectContaining({ code, where }))
  })

  test('is refused when the bytes are not UTF-8', () => {
    const bytes = new Uint8Array([0x22, 0xff, 0x22])
    const facts = { id: 'made', nowMs, maxBytes: 500 }
    expect(() => eventOf({ number: 1, bytes, totalBytes: 3 }, { type: 'a' }, facts)).toThrow(/not UTF-8/)
  })

  test('is refused when no type was given for a line that has none', () => {
    expect(() => map({ a: 1 }, {})).toThrow(expect.objectContaining({ code: 'EVENT_INVALID' }))
  })
})
