import { beforeAll, describe, expect, it } from 'vitest'
import { on } from '../../src/bus/definitions.ts'
import { loadCompiler } from '../../src/bus/rules/application-rules.ts'
import { bench, Counted } from './support.ts'

// Loading the library of CEL takes real time, which virtual time does not wait for.
beforeAll(async () => {
  await loadCompiler()
})

describe('explaining where an event goes', () => {
  it('says which handlers take it, which nearly do, and which condition fails', async () => {
    const b = bench()
    const plain = on(Counted, { name: 'plain' }, () => {})
    const big = on(
      { type: Counted, data: { n: [{ numeric: ['>', 10] }], key: ['a'] }, when: 'event.data.n < 100' },
      { name: 'big' },
      () => {},
    )
    const other = on({ type: 'test.echoed' }, { name: 'other' }, () => {})
    const running = await b.start({ handlers: [plain, big, other] })
    const route = await running.route({ type: 'test.counted', data: { key: 'a', n: 5 } })
    const summary = route.handlers.map(({ name, matches, nearly }) => [name, matches, nearly])
    expect(summary).toEqual([
      ['plain', true, false],
      ['big', false, true],
      ['other', false, false],
    ])
    const failing = route.handlers[1]?.conditions.filter(({ holds }) => !holds)
    expect(failing).toEqual([{ what: 'data.n', wanted: [{ numeric: ['>', 10] }], found: 5, holds: false }])
    await expect(running.route({ type: 'test.counted', data: { key: 'a', n: 50 } })).resolves.toMatchObject({
      handlers: [{ matches: true }, { matches: true }, { matches: false }],
    })
  })

  it('says which rules match and act, which cannot be evaluated, and which hides the event', async () => {
    const b = bench()
    const running = await b.start({ handlers: [on(Counted, { name: 'handler' }, () => {})] })
    await b.drive(
      running.rules.put([
        { name: 'hides', pattern: { data: { n: [5] } }, actions: [{ drop: true }] },
        { name: 'broken', when: 'event.data.missing == 1', actions: [{ drop: true }] },
        { name: 'off', enabled: false, actions: [{ drop: true }] },
      ]),
    )
    const route = await b.drive(running.route({ type: 'test.counted', data: { key: 'a', n: 5 } }))
    expect(route.hiddenBy).toBe('hides')
    expect(route.handlers[0]).toMatchObject({ matches: false, nearly: true })
    expect(route.rules.map(({ name, matches, acts }) => [name, matches, acts])).toEqual([
      ['broken', false, false],
      ['hides', true, true],
      ['off', false, false],
    ])
    expect(route.rules[0]?.conditions[0]?.problem).toMatch(/missing/)
  })

  it('says when no single element of an array has all that is asked', async () => {
    const b = bench()
    const both = { lines: { sku: ['a'], count: [2] } }
    const handler = on({ type: Counted, data: both }, { name: 'handler' }, () => {})
    const running = await b.start({ handlers: [handler] })
    const lines = [
      { sku: 'a', count: 1 },
      { sku: 'b', count: 2 },
    ]
    const [match] = (await running.route({ type: 'test.counted', data: { lines } })).handlers
    expect(match?.conditions.filter(({ holds }) => !holds)).toMatchObject([{ what: 'together' }])
  })
})
