import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { checkKey, checkTopicName, event, keyOf, maxKeyBytes } from '../../src/core/event.ts'

const schema = z.object({ orderId: z.string() })

/** Calls `event` as a program without types could. */
const declare = event as (type: unknown, options?: unknown) => unknown

describe('event', () => {
  test('keeps what it was given, and is frozen', () => {
    const key = (data: { orderId: string }) => data.orderId
    const declared = event('shop.order.placed', { schema, key, topic: 'orders' })
    expect(declared).toMatchObject({ type: 'shop.order.placed', schema, key, topic: 'orders', version: 1 })
    expect(Object.isFrozen(declared)).toBe(true)
  })

  test('needs neither key nor topic', () => {
    expect(event('placed', { schema })).toMatchObject({ key: undefined, topic: undefined })
  })

  test.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'ä', 'a/b', 'a\n', 'a'.repeat(129), undefined, null, 7])(
    'refuses %j as a type',
    (type) => {
      expect(() => declare(type, { schema })).toThrow(TypeError)
    },
  )

  test.each([
    ['no options', undefined],
    ['no schema', {}],
    ['a schema that is none', { schema: { parse: () => 1 } }],
    ['a key that is no function', { schema, key: 'orderId' }],
    ['a topic that is no name', { schema, topic: 'a b' }],
    ['an internal topic', { schema, topic: 'millrace.orders' }],
  ])('refuses %s', (_name, options) => {
    expect(() => declare('a', options)).toThrow(TypeError)
  })
})

describe('checkTopicName', () => {
  test.each(['orders', 'shop.orders', 'millrace', 'millraces.a', 'A_1-b', 'a'.repeat(128)])(
    'takes %s',
    (name) => {
      expect(checkTopicName(name)).toBe(name)
    },
  )

  test.each(['', 'millrace.orders', 'a b', 'a.', 'a'.repeat(129), 'a\n'])('refuses %j', (name) => {
    expect(() => checkTopicName(name)).toThrow(TypeError)
  })
})

test('the key of an event is its partitionkey, else its subject, else its id', () => {
  expect(keyOf({ id: 'i', subject: 's', partitionkey: 'k' })).toBe('k')
  expect(keyOf({ id: 'i', subject: 's' })).toBe('s')
  expect(keyOf({ id: 'i' })).toBe('i')
  expect(keyOf({ id: 'i', subject: 's', partitionkey: '' })).toBe('')
})

describe('checkKey', () => {
  const refusal = (code: string) => expect.objectContaining({ code, where: 'partitionkey' })

  test('takes every string of valid Unicode whose UTF-8 has at most 512 bytes, and no other', () => {
    const unit = fc.constantFrom('a', 'ü', '日', '🛬')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 600 }), (key) => {
        if (Buffer.byteLength(key) <= maxKeyBytes) expect(checkKey(key, 'partitionkey')).toBe(key)
        else expect(() => checkKey(key, 'partitionkey')).toThrow(refusal('KEY_TOO_LONG'))
      }),
    )
  })

  test.each([
    ['a', 512],
    ['ü', 256],
    ['日', 170],
    ['🛬', 128],
  ])('counts bytes and not characters: %s fits %i times', (character, times) => {
    expect(() => checkKey(character.repeat(times), 'partitionkey')).not.toThrow()
    expect(() => checkKey(character.repeat(times + 1), 'partitionkey')).toThrow(refusal('KEY_TOO_LONG'))
  })

  test.each([['\ud800'], ['a\udc00b'], [7], [null], [undefined], [{}], [['a']]])('refuses %j', (key) => {
    expect(() => checkKey(key, 'partitionkey')).toThrow(refusal('KEY_INVALID'))
  })

  test('takes the empty key', () => {
    expect(checkKey('', 'partitionkey')).toBe('')
  })
})
