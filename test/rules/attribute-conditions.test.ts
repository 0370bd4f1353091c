import fc from 'fast-check'
import { compileFilter } from 'millrace/routing'
import { compileExpression } from 'millrace/rules'
import { describe, expect, it } from 'vitest'

const texts = fc.constantFrom('', 'a', 'b', 'a.b', 'b.a', '10.0.0.1', '*')
const event = fc.record(
  {
    specversion: fc.constant('1.0'),
    type: texts,
    source: texts,
    data: fc.constantFrom<unknown>({}, { n: 1 }, { n: 'one' }, 'text', null),
  },
  { noNullPrototype: true },
)

const atom = fc.oneof(
  fc
    .tuple(fc.constantFrom('event.type', 'event.source', 'event.data.n', 'event.subject'), texts)
    .chain(([path, text]) =>
      fc.constantFrom(
        `${path} == '${text}'`,
        `'${text}' == ${path}`,
        `${path} != '${text}'`,
        `${path}.startsWith('${text}')`,
        `${path}.endsWith('${text}')`,
        `'${text}'.startsWith(${path})`,
        `${path} in ['${text}', 'a']`,
        `!(${path} == '${text}')`,
      ),
    ),
  fc.constantFrom('event.data.n > 0', 'has(event.data.n)', 'true', 'false', '1 / 0 == 1'),
)
const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 4 },
    atom,
    fc
      .tuple(tie('expression'), fc.constantFrom('&&', '||'), tie('expression'))
      .map(([left, operator, right]) => `(${left} ${operator} ${right})`),
  ),
}))

describe('what an expression asks of attributes', () => {
  it.each([
    ["event.type == 'order.placed' && event.data.amount > 100", { type: ['order.placed'] }],
    ["event.data.amount > 100 && event.type.startsWith('order.')", { type: [{ prefix: 'order.' }] }],
    [
      "event.type in ['a', 'b'] && event.source.endsWith('/eu')",
      { type: ['a', 'b'], source: [{ suffix: '/eu' }] },
    ],
    ["event.type == 'a' || event.type.startsWith('b')", { type: ['a', { prefix: 'b' }] }],
    ["event.type == 'a' || event.data.amount > 100", {}],
    ["event.type != 'a'", {}],
    ["event.subject == 'a'", {}],
    ["has(event.type) && ['a'].exists(event, event == 'a')", {}],
  ])('%s', (text, attributes) => {
    expect(compileExpression(text).attributes).toEqual(attributes)
  })

  it('is met by every event on which the expression is true or fails', () => {
    fc.assert(
      fc.property(expression, event, (text, given) => {
        const compiled = compileExpression(text)
        const outcome = compiled.evaluate({ event: given })
        const mayMatter = !outcome.ok || outcome.value !== false
        const isMet = compileFilter({ specversion: ['1.0'], ...compiled.attributes }).matches(given)
        expect(mayMatter && !isMet).toBe(false)
      }),
      { numRuns: 3_000 },
    )
  })
})
