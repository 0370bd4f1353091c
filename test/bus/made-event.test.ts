import { describe, expect, test } from 'vitest'
import { type EventParts, madeEvent } from '../../src/bus/made-event.ts'

const head = { id: 'a', source: 'shop', type: 'happened', time: '2026-01-31T08:00:00Z' }
const parts: EventParts = {
  ...head,
  attributes: {},
  outside: undefined,
  partitionkey: undefined,
  dataversion: undefined,
  data: undefined,
}
const chain = { correlationid: 'first', causationid: 'before', hops: 2 }

describe('an event that is put together', () => {
  test('is a plain object with what it was given, and nothing else', () => {
    const made = madeEvent(parts)
    expect(made).toStrictEqual({ specversion: '1.0', ...head })
    expect(Object.getPrototypeOf(made)).toBe(Object.prototype)
    const given = { subject: 's', traceparent: 't', millraceto: 'handler' }
    const whole = { partitionkey: 'k', dataversion: 2, data: { n: 1 } }
    expect(madeEvent({ ...parts, ...whole, attributes: { ...given, hops: 1 } })).toStrictEqual({
      specversion: '1.0',
      ...head,
      ...given,
      ...whole,
      hops: 1,
    })
  })

  test('has its chain where another one caused it', () => {
    const made = madeEvent({ ...parts, attributes: { ...chain, millracepath: 'p' }, data: 1 })
    expect(made).toStrictEqual({ specversion: '1.0', ...head, ...chain, millracepath: 'p', data: 1 })
    expect(Object.keys(made).at(-1)).toBe('data')
  })

  test('from outside has all other attributes of that, but neither its data nor the version that it claims', () => {
    const outside = {
      ...head,
      specversion: '1.0',
      subject: 's',
      region: 'eu',
      constructor: 'c',
      dataversion: 7,
      data: 'as it came',
    } as const
    const made = madeEvent({ ...parts, outside, attributes: outside, data: 'as it is stored' })
    const { dataversion: _, ...expected } = outside
    expect(made).toStrictEqual({ ...expected, data: 'as it is stored' })
  })
})
