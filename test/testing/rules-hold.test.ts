import { expect, it } from 'vitest'
import type { Event } from '../../src/core/event.ts'
import type { History, LoggedRecord, RuledRecord } from '../../src/testing/history.ts'
import { rulesHold } from '../../src/testing/invariants/rules-hold.ts'

function record(offset: number, extension: Partial<Event> = {}): LoggedRecord {
  const event: Event = {
    specversion: '1.0',
    id: 'e1',
    source: '/',
    type: 'counted',
    time: '',
    data: 1,
    ...extension,
  }
  return { topic: 'shop', partition: 0, offset, event, step: offset }
}

function history(
  ruled: Partial<RuledRecord>,
  log: readonly LoggedRecord[],
  done: readonly string[],
): History {
  const [first = record(0)] = log
  const letters = done.map((handler, index) => ({ handler, source: '/', id: 'e1', attempts: 1, index }))
  return {
    subscriptions: ['keep', 'shelve'].map((handler) => ({ handler, types: ['counted'] })),
    log,
    deadLetters: letters,
    ruled: new Map([[first, { hidden: false, emits: [], sends: [], moves: [], ...ruled }]]),
  } as unknown as History
}

it.each<readonly [string, History, RegExp | undefined]>([
  ['hidden and handled by nobody', history({ hidden: true }, [record(0)], []), undefined],
  ['hidden and handled', history({ hidden: true }, [record(0)], ['keep']), /is hidden, and 'keep' had it/],
  [
    'sent, and handled by its one handler',
    history({ hidden: true, sends: ['keep'] }, [record(0), record(1, { millraceto: 'keep' })], ['keep']),
    undefined,
  ],
  [
    'sent, and nowhere',
    history({ sends: ['keep'] }, [record(0)], []),
    /say so 1 times, the log has it 0 times/,
  ],
  [
    'moved twice',
    history(
      { moves: ['shop'] },
      [record(0), record(1, { millracemoved: true }), record(2, { millracemoved: true })],
      [],
    ),
    /say so 1 times, the log has it 2 times/,
  ],
  ['moved by no rule', history({}, [record(0), record(1, { millracemoved: true })], []), /say so 0 times/],
])('an event that is %s: judged so', (_, given, breach) => {
  expect(rulesHold(given)).toEqual(breach === undefined ? [] : [expect.stringMatching(breach)])
})
