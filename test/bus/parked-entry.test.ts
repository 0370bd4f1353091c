import { describe, expect, it } from 'vitest'
import {
  advanced,
  discarded,
  errorRecord,
  failed,
  type ParkedEntry,
  redriven,
} from '../../src/bus/parked-entry.ts'

const failure = { attempt: 3, atMs: 40, error: { name: 'Error', message: 'no' } }

/** Records 7 to 9 wait, and 7 has exhausted its attempts. */
const held: ParkedEntry = { first: 7, last: 9, count: 3, attempt: 3, dueMs: null, failures: [failure] }

describe('a key that is held', () => {
  it('is held again once an earlier record, handed back, is done', () => {
    const entry = redriven(held, 2, 50)
    expect(entry).toMatchObject({ dueMs: 50, redrive: [2], held: true })
    expect(advanced(entry, 2, 60)).toEqual({ ...held, attempt: 0, failures: [] })
  })

  it('is held behind all that was handed back', () => {
    const entry = redriven(redriven(held, 2, 50), 4, 50)
    const afterOne = advanced(entry, 2, 60)
    expect(afterOne).toMatchObject({ dueMs: 60, redrive: [4], held: true })
    expect(advanced(afterOne as ParkedEntry, 4, 70)?.dueMs).toBeNull()
  })

  it('goes on once its own record is handed back', () => {
    expect(redriven(held, 7, 50)).toEqual({ ...held, attempt: 0, dueMs: 50, failures: [] })
    const entry = redriven(redriven(held, 2, 50), 7, 50)
    expect(entry.held).toBeUndefined()
    expect(advanced(entry, 2, 60)?.dueMs).toBe(60)
  })

  it('is held when its attempts run out while an earlier record is handed back', () => {
    const running: ParkedEntry = { first: 7, last: 9, count: 3, attempt: 2, dueMs: 30, failures: [] }
    const entry = failed(redriven(running, 2, 50), 7, failure, null)
    expect(entry).toMatchObject({ redrive: [2], held: true })
    expect(advanced(entry, 2, 60)?.dueMs).toBeNull()
  })
})

describe('a dead letter that is discarded', () => {
  it('lets the key go on behind it when that is what holds the key', () => {
    expect(discarded(held, 7, 50)).toMatchObject({ first: 8, count: 2, attempt: 0, dueMs: 50 })
    expect(discarded({ ...held, last: 7, count: 1 }, 7, 50)).toBeUndefined()
  })

  it('leaves the key held when it was handed back before what holds the key', () => {
    const entry = discarded(redriven(held, 2, 50), 2, 60)
    expect(entry).toMatchObject({ first: 7, count: 3, dueMs: null })
    expect(entry?.redrive).toBeUndefined()
  })

  it('leaves the attempts of the one in front of it alone', () => {
    const both = redriven(redriven(held, 2, 50), 4, 50)
    const waiting = failed(both, 2, { ...failure, attempt: 1 }, 90)
    expect(discarded(waiting, 4, 60)).toEqual({ ...waiting, redrive: [2] })
  })
})

describe('an error that is stored', () => {
  it('has the stacks of what caused it, which is where a wrapped error was thrown', () => {
    const root = new RangeError('too far')
    const { stack = '' } = errorRecord(new Error('outer', { cause: new Error('middle', { cause: root }) }))
    expect(stack.split('\n').filter((line) => !line.startsWith('    at '))).toEqual([
      'Error: outer',
      'Caused by: Error: middle',
      'Caused by: RangeError: too far',
    ])
    expect(stack).toContain(root.stack)
  })

  it('is bounded, also where causes go round in a circle or are no errors', () => {
    const circle = new Error('x'.repeat(10_000))
    circle.cause = circle
    expect(errorRecord(circle).stack?.length).toBeLessThanOrEqual(4_000)
    const small = new Error('small')
    small.cause = small
    expect(errorRecord(small).stack?.match(/Error: small/g)?.length).toBe(1)
    expect(errorRecord(new Error('outer', { cause: 'a text' })).stack).toContain('Caused by: a text')
  })
})
