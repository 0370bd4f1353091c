import { compileExpression } from 'millrace/rules'
import { describe, expect, it } from 'vitest'

const event = {
  type: 'order.placed',
  data: { amount: 150, lines: [{ sku: 'lamp', count: 2 }], note: null, paid: true },
}

function evaluated(text: string): unknown {
  const outcome = compileExpression(text).evaluate({ event })
  return outcome.ok ? outcome.value : outcome.problem
}

describe('an expression', () => {
  it('is evaluated over an event', () => {
    expect(evaluated("event.data.amount > 100 && event.type.startsWith('order.')")).toBe(true)
    expect(evaluated('event.data.lines.exists(line, line.count == 2)')).toBe(true)
    expect(evaluated('has(event.data.discount)')).toBe(false)
    expect(evaluated('event.data.note == null')).toBe(true)
    expect(evaluated("event.type.indexOf('placed')")).toBe(6)
  })

  it('gives values that JSON can hold', () => {
    expect(
      evaluated("{'total': event.data.amount * 2.0, 'skus': event.data.lines.map(line, line.sku)}"),
    ).toEqual({
      total: 300,
      skus: ['lamp'],
    })
    expect(evaluated("timestamp('2026-01-02T03:04:05.250Z')")).toBe('2026-01-02T03:04:05.25Z')
    expect(evaluated("duration('90s')")).toBe('90s')
    expect(evaluated("duration('-1.5s')")).toBe('-1.5s')
    expect(evaluated("b'abc'")).toBe('YWJj')
    expect(evaluated('7u')).toBe(7)
    expect(evaluated('{1: true}')).toEqual({ 1: true })
  })

  it('says why there is no value, and never throws', () => {
    expect(evaluated('event.data.missing > 1')).toMatch(/field not found: missing/)
    expect(evaluated('1 / 0')).toMatch(/divide by zero/)
    expect(evaluated('9007199254740993')).toMatch(/beyond what JSON numbers hold/)
    expect(evaluated('1.0 / 0.0')).toMatch(/cannot be written as JSON/)
    expect(evaluated('int')).toMatch(/cannot be written as JSON/)
  })

  it('says what to write where numbers of events meet integers', () => {
    expect(evaluated('event.data.amount + 1')).toMatch(/write 1\.0 rather than 1/)
    expect(evaluated('event.data.amount + 1.0')).toBe(151)
  })

  it('knows which variables and paths it reads', () => {
    const expression = compileExpression(
      "event.data.amount > limit && event.data['note'] == null && event.data.lines.all(each, each.count > 0)",
    )
    expect(expression.variables).toEqual(['event', 'limit'])
    expect(expression.reads).toEqual(['event.data.amount', 'event.data.lines', 'event.data.note', 'limit'])
  })

  it('does not take the names of types for variables', () => {
    expect(
      compileExpression('type(event.data.amount) == double', { variables: ['event'] }).variables,
    ).toEqual(['event'])
  })

  it.each([
    ['event.type ==', /no expression of CEL/, /line 1, column 12/],
    ['a b', /no expression of CEL/, /line 1, column 3/],
    ['', /not empty/, /^expression$/],
    [`'${'x'.repeat(5_000)}'`, /at most 4096 characters/, /^expression$/],
    ['other.type == 1', /no variable 'other'/, /^expression$/],
    ['[1].all(a, [1].all(b, [1].all(c, a == b && b == c)))', /at most 2 deep; here it is 3/, /^expression$/],
  ])('is refused with its place: %s', (text, message, where) => {
    expect(() => compileExpression(text, { variables: ['event'] })).toThrow(
      expect.objectContaining({
        code: 'RULE_INVALID',
        message: expect.stringMatching(message),
        where: expect.stringMatching(where),
      }),
    )
  })
})

describe('an expression over a large event', () => {
  const numbers = Array.from({ length: 50_000 }, (_, index) => index)
  const large = { data: { numbers, text: 'ab'.repeat(50_000), lines: [{ sku: 'lamp' }, { sku: 'tea' }] } }

  function over(text: string): unknown {
    const outcome = compileExpression(text).evaluate({ event: large })
    return outcome.ok ? outcome.value : outcome.problem
  }

  it('may walk all of it, and make as much of it', () => {
    expect(over('event.data.numbers.exists(n, n == 49999.0)')).toBe(true)
    expect(over('event.data.numbers.map(n, n * 2.0)')).toEqual(numbers.map((n) => n * 2))
    expect(over('event.data.numbers.filter(n, n < 3.0)')).toEqual([0, 1, 2])
    expect(over('event.data.lines.map(a, event.data.lines.map(b, a.sku + b.sku))')).toEqual([
      ['lamplamp', 'lamptea'],
      ['tealamp', 'teatea'],
    ])
  })

  it.each([
    ['event.data.numbers.all(a, event.data.numbers.all(b, a + b >= 0.0))', /more than 300000 rounds/],
    ["event.data.numbers.all(a, !event.data.text.matches('(a+b+)+c'))", /more than 300000 rounds/],
    ["event.data.numbers.all(a, event.data.text.contains('a'))", /more than 300000 rounds/],
    ["event.data.text.replace('a', event.data.text)", /replace would make/],
    ["event.data.numbers.map(n, event.data.text).join(',')", /join would make/],
    ['event.data.numbers.map(n, event.data.text)', /larger than an event/],
  ])('ends soon, and says why it gave up: %s', (text, problem) => {
    expect(over(text)).toMatch(problem)
  })

  it.each([
    ["'banana'.replace('an', '')", 'ba'],
    ["'banana'.replace('an', 'AN', 1)", 'bANana'],
    ["'banana'.replace('x', 'y')", 'banana'],
    ["'banana'.replace('a', 'b', 0)", 'banana'],
    ["['a', 'b'].join('-')", 'a-b'],
    ["['a', 'b'].join()", 'ab'],
    ["['a', 1].join()", 'join takes a list of texts'],
  ])('has the functions of the language: %s', (text, expected) => {
    expect(over(text)).toBe(expected)
  })
})
