import { describe, expect, test } from 'vitest'
import { KnownValues } from '../../src/bus/known-values.ts'

const cell = (n: number) => `state/handler/cell/${n}`
const textOf100 = 'x'.repeat(100)

describe('what is known of the state', () => {
  test('is all that was written and is not durable yet, however much that is', () => {
    const known = new KnownValues(1_000)
    for (let n = 1; n <= 100; n += 1) known.write(cell(n), textOf100, n)
    known.settle([], 0)
    for (let n = 1; n <= 100; n += 1) expect(known.get(cell(n))?.value).toBe(textOf100)
    known.settle([cell(1), cell(2)], 2)
    expect([1, 2, 3, 100].map((n) => known.get(cell(n)) !== undefined)).toEqual([false, false, true, true])
  })

  test('is of what is durable only the cells of handlers', () => {
    const known = new KnownValues(10_000)
    known.write('parked/handler/topic/a', '{}', 1)
    known.write(cell(1), '1', 1)
    known.write('parked/handler/topic/b', '{}', 2)
    known.settle(['parked/handler/topic/a', cell(1), 'parked/handler/topic/b'], 1)
    expect(known.get('parked/handler/topic/a')).toBeUndefined()
    expect(known.get(cell(1))?.value).toBe('1')
    expect(known.get('parked/handler/topic/b')?.value).toBe('{}')
    known.remember('once/handler/topic/0/name', '{}')
    expect(known.get('once/handler/topic/0/name')).toBeUndefined()
  })

  test('is also that a key is not there', () => {
    const known = new KnownValues(10_000)
    known.remember(cell(1), undefined)
    expect(known.get(cell(1))).toMatchObject({ value: undefined })
    expect(known.get(cell(2))).toBeUndefined()
  })

  test('keeps within its bound what was used last', () => {
    const known = new KnownValues(10 * (textOf100.length + cell(10).length + 128))
    for (let n = 1; n <= 1_000; n += 1) {
      known.remember(cell(n), textOf100)
      expect(n < 3 || known.get(cell(2)) !== undefined).toBe(true)
    }
    let kept = 0
    for (let n = 1; n <= 1_000; n += 1) if (known.get(cell(n)) !== undefined) kept += 1
    expect(kept).toBeGreaterThan(5)
    expect(kept).toBeLessThanOrEqual(10)
  })

  test('is held on to by who works on a key, and is looked for again once it has gone', () => {
    const known = new KnownValues(300)
    known.remember(cell(1), '1')
    const held = known.get(cell(1))
    known.write(cell(1), '2', 1, held)
    expect([held?.value, known.get(cell(1))?.value]).toEqual(['2', '2'])
    known.settle([cell(1)], 1)
    for (let n = 2; n <= 4; n += 1) known.remember(cell(n), textOf100)
    expect([held?.isGone, known.get(cell(1))]).toEqual([true, undefined])
    known.write(cell(1), '3', 2, held)
    expect(known.get(cell(1))?.value).toBe('3')
    expect(known.get(cell(1))).not.toBe(held)
  })

  test('is held by nobody once all of it is forgotten', () => {
    const known = new KnownValues(10_000)
    known.write(cell(1), '1', 1)
    const held = known.get(cell(1))
    known.clear()
    expect(held?.isGone).toBe(true)
  })
})
