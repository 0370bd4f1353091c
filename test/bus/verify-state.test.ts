import { describe, expect, test } from 'vitest'
import { stateLayout } from '../../src/bus/state-layout.ts'
import { verifyState } from '../../src/bus/verify-state.ts'

/** The topic `orders` has the records 10 to 19. */
const boundsOf = ({ topic }: { readonly topic: string }) =>
  topic === 'orders' ? { start: 10, end: 20 } : undefined

function kindsOf(key: string, value: unknown): string[] {
  const bytes = new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
  return verifyState({ group: 'shop', partition: 3, key, value: bytes }, boundsOf).map(({ kind }) => kind)
}

const parked = { first: 12, last: 15, count: 2, attempt: 1, dueMs: 5, failures: [] }

describe('what the processor writes', () => {
  test.each([
    [stateLayout.subscription('a', 'orders'), { cursor: 10, done: [] }],
    [stateLayout.subscription('a', 'orders'), { cursor: 20, done: [], silentUntil: 20 }],
    [
      stateLayout.subscription('a', 'orders'),
      {
        cursor: 12,
        done: [
          [10, 14],
          [16, 20],
        ],
      },
    ],
    [stateLayout.parked('a', 'orders', 'k/1'), parked],
    [stateLayout.parked('a', 'orders', 'k'), { ...parked, dueMs: null }],
    [stateLayout.parked('a', 'orders', 'k'), { ...parked, first: 20, last: 4, count: 0, redrive: [2, 11] }],
    [stateLayout.cell('a', 'left', 'k'), '7'],
    [stateLayout.once('a', 'orders', 12, 'label/x'), { value: 1 }],
    [stateLayout.deadLetter('a', 'orders', 4), { id: 'x', key: 'k', atMs: 1 }],
    [stateLayout.timer(1_700_000_000_000, '4'), { topic: 'orders', event: '{}' }],
    [stateLayout.timer(1_700_000_000_000, 'result/orders/4'), { expired: 'result/orders/4' }],
    [
      stateLayout.result('orders', 4),
      { command: 'reserve', outcome: { ok: true, result: { left: 1 } }, expiresMs: 5 },
    ],
    [stateLayout.result('orders', 12), { command: 'reserve', outcome: { ok: false }, expiresMs: 5 }],
    [
      stateLayout.result('orders', 12),
      { command: 'reserve', outcome: { discarded: 'a test' }, expiresMs: 5 },
    ],
    [stateLayout.schedule('nightly'), { pattern: '0 3 * * *', timezone: 'UTC', dueMs: null }],
    ['another-layout/a', 'no JSON'],
  ])('has no findings: %s %j', (key, value) => {
    expect(kindsOf(key, value)).toEqual([])
  })
})

describe('a value that says what cannot be', () => {
  test.each([
    ['a cursor behind the end', stateLayout.subscription('a', 'orders'), { cursor: 21, done: [] }],
    ['a cursor before the start', stateLayout.subscription('a', 'orders'), { cursor: 9, done: [] }],
    ['a cursor that is no offset', stateLayout.subscription('a', 'orders'), { cursor: 1.5, done: [] }],
    ['no ranges', stateLayout.subscription('a', 'orders'), { cursor: 12 }],
    ['a range behind the end', stateLayout.subscription('a', 'orders'), { cursor: 12, done: [[14, 21]] }],
    ['a range turned round', stateLayout.subscription('a', 'orders'), { cursor: 12, done: [[16, 14]] }],
    ['a range that is none', stateLayout.subscription('a', 'orders'), { cursor: 12, done: [7] }],
  ])('is a damaged cursor: %s', (_, key, value) => {
    expect(kindsOf(key, value)).toEqual(['cursor-invalid'])
  })

  test.each([
    ['it waits behind the end', { ...parked, last: 20 }],
    ['it waits before the start', { ...parked, first: 9 }],
    ['it waits for less than nothing', { ...parked, first: 16 }],
    ['it redrives what is not there', { ...parked, redrive: [20] }],
    ['it lacks its failures', { ...parked, failures: undefined }],
    ['it has no due time', { ...parked, dueMs: undefined }],
  ])('is a damaged parked key: %s', (_, value) => {
    expect(kindsOf(stateLayout.parked('a', 'orders', 'k'), value)).toEqual(['parked-invalid'])
  })

  test.each([
    ['state-invalid', stateLayout.cell('a', 'left', 'k'), '{"left":'],
    ['state-invalid', 'state/a', '1'],
    ['once-invalid', 'once/a/orders/x/label', { value: 1 }],
    ['once-invalid', stateLayout.once('a', 'orders', 20, 'label'), { value: 1 }],
    ['once-invalid', stateLayout.once('a', 'orders', 12, 'label'), '7'],
    ['dead-letter-invalid', stateLayout.deadLetter('a', 'orders', 20), { id: 'x', key: 'k' }],
    ['dead-letter-invalid', stateLayout.deadLetter('a', 'orders', 12), { key: 'k' }],
    ['dead-letter-invalid', 'dead-letter/a/orders/12', { id: 'x', key: 'k' }],
    ['timer-invalid', 'timer/17000/4', { topic: 'orders', event: '{}' }],
    ['timer-invalid', stateLayout.timer(5, '4'), { topic: 'orders' }],
    [
      'result-invalid',
      stateLayout.result('orders', 20),
      { command: 'a', outcome: { ok: true }, expiresMs: 5 },
    ],
    ['result-invalid', stateLayout.result('orders', 12), { command: 'a', outcome: {}, expiresMs: 5 }],
    ['result-invalid', stateLayout.result('orders', 12), { command: 'a', outcome: { ok: true } }],
    ['result-invalid', stateLayout.result('orders', 12), { outcome: { ok: true }, expiresMs: 5 }],
    ['schedule-invalid', stateLayout.schedule('nightly'), { pattern: '0 3 * * *' }],
  ])('is %s: %s %j', (kind, key, value) => {
    expect(kindsOf(key, value)).toEqual([kind])
  })

  test('names the group, the partition and the key', () => {
    const key = stateLayout.subscription('a', 'orders')
    const value = new TextEncoder().encode('{"cursor":21,"done":[]}')
    expect(verifyState({ group: 'shop', partition: 3, key, value }, boundsOf)).toMatchObject([
      { severity: 'damage', where: 'shop/3: subscription/a/orders', problem: expect.stringContaining('21') },
    ])
  })
})

test('state of a topic that is deleted is a leftover', () => {
  expect(kindsOf(stateLayout.subscription('a', 'gone'), { cursor: 3, done: [] })).toEqual(['topic-gone'])
  expect(kindsOf(stateLayout.parked('a', 'gone', 'k'), parked)).toEqual(['topic-gone'])
  expect(kindsOf(stateLayout.once('a', 'gone', 1, 'x'), {})).toEqual(['topic-gone'])
})
