import { compileFilter, compilePattern } from 'millrace/routing'
import { describe, expect, test } from 'vitest'

const matches = (pattern: object | string, event: object | string) => compilePattern(pattern).matches(event)

describe('numbers', () => {
  test.each([
    ['[300]', '300.0', true],
    ['[300]', '3.0e2', true],
    ['[300]', '3E+2', true],
    ['[0]', '-0', true],
    ['[300]', '"300"', false],
    ['["300"]', '300', false],
    ['[1]', 'true', false],
    ['[0.1]', '0.10', true],
    ['[0.1]', '0.1000000000000000055511151231257827', false],
    ['[12345678901234567891]', '12345678901234567891', true],
    ['[12345678901234567891]', '12345678901234567890', false],
    ['[12345678901234567000]', '12345678901234567891', false],
    ['[{"anything-but":12345678901234567000}]', '12345678901234567891', true],
    ['[{"numeric":[">",3]}]', '3.141592653589793', true],
    ['[{"numeric":[">",3]}]', '3.14159265358979323846', false],
    ['[{"numeric":["<",3]}]', '-1e309', false],
    ['[10000000000000000]', '9999999999999999', false],
    ['[{"anything-but":9007199254740992}]', '9007199254740993', true],
    ['[{"numeric":[">",0]}]', '0.123456789012345', true],
    ['[{"numeric":["=",301.8]}]', '3.018e2', true],
    ['[{"numeric":["<",1e-320]}]', '0', true],
    ['[{"numeric":[">=",9007199254740992]}]', '9007199254740992', true],
    ['[1e999]', '1e999', true],
  ])('%s and %s: %s', (accepts, value, expected) => {
    expect(matches(`{"a":${accepts}}`, `{"a":${value}}`)).toBe(expected)
  })

  test('a parsed event has doubles, so a number of 20 digits equals no pattern that has all of them', () => {
    expect(matches('{"a":[12345678901234567891]}', JSON.parse('{"a":12345678901234567891}'))).toBe(false)
  })
})

describe('letter case beyond ASCII', () => {
  test.each([
    ['straße', 'STRASSE', true],
    ['straße', 'strasse', false],
    ['ÉA', 'éa', true],
    ['k', '\u212a', false],
    ['σ', 'Σ', true],
    ['İ', 'i\u0307', true],
    ['𐐀', '𐐨', false],
    ['🚀', '🚀', true],
  ])('%s and %s: %s', (pattern, value, expected) => {
    expect(matches({ a: [{ 'equals-ignore-case': pattern }] }, { a: value })).toBe(expected)
    expect(matches({ a: [{ prefix: { 'equals-ignore-case': pattern } }] }, { a: `${value}-` })).toBe(expected)
    expect(matches({ a: [{ suffix: { 'equals-ignore-case': pattern } }] }, { a: `-${value}` })).toBe(expected)
  })

  test('every character folds alike in both of its cases, so that the index finds what the comparison accepts', () => {
    for (let code = 0; code < 0xd800; code += 1) {
      const character = String.fromCharCode(code)
      if (character.toLowerCase() === character.toUpperCase()) continue
      const pattern = compilePattern({ a: [{ 'equals-ignore-case': character }] })
      for (const form of [character.toLowerCase(), character.toUpperCase()]) {
        if (!pattern.matches({ a: form })) throw new Error(`${code.toString(16)} does not match ${form}`)
      }
    }
  })
})

describe('addresses', () => {
  test.each([
    [[{ cidr: '10.0.0.0/24' }], '10.0.0.255', true],
    [[{ cidr: '10.0.0.0/24' }], '10.0.1.0', false],
    [[{ cidr: '10.0.0.77/24' }], '10.0.0.1', true],
    [[{ cidr: '0.0.0.0/0' }], '255.255.255.255', true],
    [[{ cidr: '0.0.0.0/0' }], '::1', false],
    [[{ cidr: '10.0.0.0/24' }], '10.0.0.1 ', false],
    [[{ cidr: '2001:db8::/32' }], '2001:DB8:ffff::1', true],
    [[{ cidr: '2001:db8::/32' }], '2001:db9::', false],
    [[{ cidr: '::/0' }], '1.2.3.4', false],
    [[{ cidr: '10.0.0.0/8' }], '::ffff:a00:1', true],
    [['2001:db8::1'], '2001:0db8:0:0:0:0:0:1', true],
    [['10.0.0.1'], '10.0.0.1', true],
    [['10.0.0.1'], '10.0.0.2', false],
    [['a:b'], 'a:b', true],
  ])('%j and %s: %s', (accepts, value, expected) => {
    expect(matches({ a: accepts }, { a: value })).toBe(expected)
  })
})

describe('fields', () => {
  test.each([
    [{ a: [{ exists: true }] }, { a: null }, true],
    [{ a: [{ exists: true }] }, { a: [] }, false],
    [{ a: [{ exists: true }] }, { a: {} }, false],
    [{ a: [{ exists: false }] }, { a: {} }, true],
    [{ a: [{ exists: false }] }, { a: [{}] }, true],
    [{ a: [{ 'anything-but': 'x' }] }, { a: ['x', 'y'] }, true],
    [{ a: [{ 'anything-but': 'x' }] }, { a: [] }, false],
    [{ a: [''] }, { a: '' }, true],
    [{ a: [null] }, {}, false],
    [{ a: { b: [1] } }, { a: [[{ b: 1 }]] }, true],
    [{ a: { b: [1], c: [2] } }, { a: [{ b: 1 }, { c: 2 }] }, false],
    [{ $or: { a: [1] } }, { $or: { a: 1 } }, true],
    [{ $or: ['x'] }, { $or: 'x' }, true],
    [{ toString: [{ exists: false }] }, {}, true],
    [{ a: [{ exactly: '10.0.0.1' }] }, { a: '10.0.0.1' }, true],
  ])('%j and %j: %s', (pattern, event, expected) => {
    expect(matches(pattern, event)).toBe(expected)
    expect(matches(pattern, JSON.stringify(event))).toBe(expected)
    expect(matches(pattern, Buffer.from(JSON.stringify(event)))).toBe(expected)
  })
})

describe('routing keys', () => {
  test.each([
    ['order.*', 'order.placed', true],
    ['order.*', 'order.placed.late', false],
    ['order.*', 'order', false],
    ['order.>', 'order.placed.late', true],
    ['order.>', 'order', false],
    ['>', 'order', true],
    ['*.placed', 'order.placed', true],
    ['order.placed', 'order.placed', true],
    ['order.placed', 'order.placed.x', false],
  ])('%s and %s: %s', (type, value, expected) => {
    expect(compileFilter({ type }).matches({ type: value })).toBe(expected)
    expect(compileFilter({ type, data: { a: [1] } }).matches({ type: value, data: { a: 1 } })).toBe(expected)
    expect(compileFilter({ subject: type }).matches(JSON.stringify({ subject: value }))).toBe(expected)
  })
})

describe('text', () => {
  test.each([
    '',
    '{',
    '{"a":1',
    '{"a":1}}',
    '{"a":1,}',
    "{'a':1}",
    '{"a":01}',
    '{"a":"\n"}',
    '{"a":tru}',
    '{"b":[1,{"c":2}',
    '\ufeff{}',
  ])('%j is refused: it is no JSON', (text) => {
    expect(() => matches({ a: [1] }, text)).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }))
    expect(() => matches({ a: [1] }, Buffer.from(text))).toThrow(
      expect.objectContaining({ code: 'JSON_INVALID' }),
    )
  })

  test.each(['[]', '1', 'null', '"x"'])('%s is refused: it is no object', (text) => {
    expect(() => matches({ a: [1] }, text)).toThrow(expect.objectContaining({ code: 'EVENT_INVALID' }))
  })

  test('bytes that are no UTF-8 are refused', () => {
    const bytes = Buffer.from([...Buffer.from('{"a":"'), 0xff, ...Buffer.from('"}')])
    expect(() => matches({ a: ['x'] }, bytes)).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }))
  })

  test('of a name that is twice in one object the last one counts, as with JSON.parse', () => {
    expect(matches({ a: [2] }, '{"a":1,"a":2}')).toBe(true)
    expect(matches({ a: [1] }, '{"a":1,"a":2}')).toBe(false)
  })

  test('a long text, one beyond ASCII and one with a lone surrogate are read like any other', () => {
    const long = { b: 'x'.repeat(100_000), a: 'é🚀' }
    expect(matches({ a: ['é🚀'] }, JSON.stringify(long))).toBe(true)
    expect(matches({ ö: { ü: ['ä'] } }, '{"x":"é","ö":{"ü":"ä"}}')).toBe(true)
    expect(matches({ a: ['\ud83d'] }, `{"é":1,"a":"\ud83d"}`)).toBe(true)
  })

  test('arrays that are nested without end are refused, not followed', () => {
    const nested = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    expect(() => matches({ a: [1] }, nested)).toThrow(expect.objectContaining({ code: 'EVENT_INVALID' }))
    expect(matches({ b: [{ exists: false }] }, nested)).toBe(true)
  })

  test('arrays of many objects beside one another are settled one by one, not in all combinations', () => {
    const element = (index: number) => (index % 2 === 0 ? { x: 1 } : { y: 1 })
    const names = ['a', 'b', 'c', 'd', 'e', 'f']
    const event = Object.fromEntries(
      names.map((name) => [name, Array.from({ length: 200 }, (_, index) => element(index))]),
    )
    const pattern = Object.fromEntries(names.map((name) => [name, { x: [1] }]))
    expect(matches({ ...pattern, f: { x: [1], y: [1] } }, event)).toBe(false)
  })

  test('an array of very many objects is settled in one pass, also where a field may be absent', () => {
    const elements = Array.from({ length: 20_000 }, (_, index) => ({ x: 1, y: index, z: [{ w: 1 }] }))
    expect(matches({ a: { x: [1], y: [-1, { exists: false }] } }, { a: elements })).toBe(false)
    expect(matches({ a: { x: [1], y: [19_999], z: { w: [{ exists: false }, 2] } } }, { a: elements })).toBe(
      false,
    )
    expect(matches({ a: { x: [1], y: [19_999], z: { w: [1] } } }, { a: elements })).toBe(true)
  })
})
