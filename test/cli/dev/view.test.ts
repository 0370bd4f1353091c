import { describe, expect, test } from 'vitest'
import type { HandlerStatus } from '../../../src/bus/status.ts'
import type { Activity } from '../../../src/cli/dev/messages.ts'
import { viewLines } from '../../../src/cli/dev/view-lines.ts'
import {
  afterActivity,
  afterEvent,
  afterKey,
  initialView,
  type ViewState,
} from '../../../src/cli/dev/view-state.ts'

const urls = { platform: 'http://127.0.0.1:4400', app: 'http://127.0.0.1:3000' }
const size = { columns: 100, rows: 40 }
const nowMs = 100_000

const handler = (name: string, more: Partial<HandlerStatus> = {}): HandlerStatus => ({
  name,
  kind: 'on',
  group: 'shop',
  topics: ['shop'],
  partitions: [0],
  lag: 0,
  inFlight: 0,
  waiting: 0,
  parked: { keys: 0, records: 0, sample: [] },
  paused: false,
  stuck: [],
  counts: { handled: 0, attempts: 0, failures: 0, deadLettered: 0 },
  ...more,
})

const activity = (more: Partial<Activity>): Activity => ({
  events: [],
  passedOver: 0,
  handlers: [],
  deadLetters: [],
  ...more,
})

const running = afterEvent(initialView(urls), {
  kind: 'started',
  app: 'shop',
  pid: 1,
  log: 'memory:',
  urls,
  handlers: [],
  tookMs: 1,
  waitedMs: 0,
})

const texts = (view: ViewState, at = size) => viewLines(view, at, nowMs).map(({ text }) => text)
const event = (type: string, key: string, agoMs = 0) => ({ type, key, atMs: nowMs - agoMs })
const typed = (view: ViewState, keys: string) =>
  [...keys].reduce((state, sequence) => afterKey(state, { sequence }).view, view)
const press = (view: ViewState, name: string) => afterKey(view, { name, sequence: '' }).view

describe('the view', () => {
  test('shows handlers with their counts and durations, the newest events first, and what fails', () => {
    const view = afterActivity(
      running,
      activity({
        events: [event('shop.order.placed', 'lamp', 61_000), event('shop.order.paid', 'chair', 2500)],
        passedOver: 40,
        handlers: [
          handler('reserve', {
            inFlight: 2,
            waiting: 3,
            durations: { medianMs: 0, longestMs: 1234 },
            counts: { handled: 7, attempts: 9, failures: 1, deadLettered: 1 },
          }),
          handler('label', {
            paused: true,
            parked: {
              keys: 1,
              records: 4,
              sample: [
                {
                  topic: 'shop',
                  key: 'lamp',
                  partition: 0,
                  first: 0,
                  last: 3,
                  count: 4,
                  attempt: 2,
                  dueMs: nowMs + 3000,
                  error: 'no printer',
                },
              ],
            },
          }),
        ],
        deadLetters: [{ handler: 'reserve', key: 'chair', message: 'out of stock', atMs: nowMs }],
      }),
    )
    expect(texts(view)).toEqual([
      'shop  running, not reloaded yet  http://127.0.0.1:4400',
      'HANDLERS        handled  running  waiting  parked  failed  dead  p50    longest',
      'reserve               7        2        3       0       1     1  <1 ms  1 s',
      'label (paused)        0        0        0       1       0     0  -      -',
      'EVENTS  42 since the start',
      'shop.order.paid    chair  2 s ago',
      'shop.order.placed  lamp   1 min ago',
      'FAILURES',
      'label  lamp  attempt 2, again in 3 s: no printer',
      'reserve  chair  gave up now: out of stock',
      '/ filter  o open  r reload  q quit  ? help',
    ])
  })

  test('never is as high as the terminal, nor as wide, and shows the handlers at work', () => {
    const handlers = Array.from({ length: 40 }, (_, index) => handler(`handler-${index}`))
    handlers[33] = handler('busy', { inFlight: 1 })
    const events = Array.from({ length: 50 }, (_, index) => event(`shop.${'long'.repeat(30)}`, `${index}`))
    const deadLetters = events.map(({ key }) => ({
      handler: 'a',
      key,
      message: 'm'.repeat(300),
      atMs: nowMs,
    }))
    const view = afterKey(afterActivity(running, activity({ handlers, events, deadLetters })), {
      sequence: '?',
    }).view
    for (let rows = 2; rows < 60; rows += 1) {
      for (const columns of [1, 20, 80]) {
        const lines = texts(view, { columns, rows })
        expect(lines.length).toBeLessThan(rows)
        expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(Math.max(1, columns - 1))
      }
    }
    expect(texts(view)).toContainEqual(expect.stringMatching(/^busy /))
    expect(texts(view)).toContainEqual(expect.stringMatching(/^and \d+ more$/))
  })

  test('writes nothing from outside that would move the cursor', () => {
    const key = 'a\u001b[2Jb\r\nc\u0007\u202e'
    const view = afterActivity(running, activity({ events: [event('shop.x', key)] }))
    expect(texts(view).join('')).toContain('a�[2Jb c��')
  })

  test('keeps no more events than it can need', () => {
    const events = Array.from({ length: 50 }, (_, index) => event('shop.x', `${index}`))
    let view: ViewState = running
    for (let round = 0; round < 20; round += 1) view = afterActivity(view, activity({ events }))
    expect(view.events).toHaveLength(200)
    expect(view.eventCount).toBe(1000)
  })

  test.each([
    ['crashed', { kind: 'crashed', pid: 1, code: 1, signal: null, againInMs: 100 }, 'shop  down'],
    [
      'failed to load',
      { kind: 'load-failed', failure: { name: 'a', message: 'b' }, running: false },
      'shop  down',
    ],
    [
      'kept its last version',
      { kind: 'load-failed', failure: { name: 'a', message: 'b' }, running: true },
      'shop  running',
    ],
  ] as const)('says whether an application that %s runs', (_what, told, title) => {
    expect(texts(afterEvent(running, told))[0]?.startsWith(title)).toBe(true)
  })
})

describe('the filter', () => {
  const types = ['shop.order.placed', 'shop.order.paid', 'stock.order.placed']
  const view = afterActivity(running, activity({ events: types.map((type) => event(type, 'k')) }))
  const shown = (state: ViewState) => texts(state).filter((text) => text.includes(' k '))

  test.each([
    ['paid', 1],
    ['shop.*.placed', 1],
    ['shop.>', 2],
    ['*.order.*', 3],
    ['shop..>', 0],
    ['', 3],
  ])('%j shows events whose type contains it, or that the pattern stands for', (filter, count) => {
    expect(shown(press(typed(view, `/${filter}`), 'return'))).toHaveLength(count)
  })

  test('works while it is typed, and escape goes back to the one before', () => {
    const kept = press(typed(view, '/paid'), 'return')
    const typing = typed(kept, '/x')
    expect(texts(typing).at(-1)).toMatch(/^\/paidx▏/)
    expect(shown(typing)).toHaveLength(0)
    expect(shown(press(typing, 'backspace'))).toHaveLength(1)
    expect(shown(press(typing, 'escape'))).toHaveLength(1)
    expect(shown(press(press(typing, 'escape'), 'escape'))).toHaveLength(3)
  })

  test('takes the letters of other keys, which do nothing meanwhile', () => {
    expect(afterKey(typed(view, '/'), { sequence: 'q', name: 'q' })).toEqual({
      view: { ...view, typing: 'q' },
    })
  })
})

describe('keys', () => {
  test.each([
    [{ sequence: 'o' }, 'open'],
    [{ sequence: 'r' }, 'reload'],
    [{ sequence: 'q' }, 'quit'],
    [{ name: 'c', ctrl: true }, 'quit'],
    [{ sequence: 'x' }, undefined],
  ])('%j asks for %s', (key, action) => {
    expect(afterKey(running, key).action).toBe(action)
  })

  test('an interrupt quits also while a filter is typed', () => {
    expect(afterKey(typed(running, '/a'), { name: 'c', ctrl: true }).action).toBe('quit')
  })

  test('? shows what the keys do, and again hides it', () => {
    const help = typed(running, '?')
    expect(texts(help).join('\n')).toMatch(/reloads without a save/)
    expect(typed(help, '?')).toEqual(running)
  })
})
