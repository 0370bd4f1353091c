import { describe, expect, it } from 'vitest'
import type { History, LoggedRecord } from '../../src/testing/history.ts'
import { invariants } from '../../src/testing/invariants/index.ts'
import { HistoryBuilder, soundHistory } from './history-builder.ts'

const brokenRules = (history: History) =>
  Object.entries(invariants)
    .filter(([, invariant]) => invariant(history).length > 0)
    .map(([rule]) => rule)

const without = (history: History, drop: (record: LoggedRecord) => boolean): History => ({
  ...history,
  log: history.log.filter((record) => !drop(record)),
})

const isWitness = (record: LoggedRecord, phase: string, id: string) => {
  const data = record.event.data as { phase?: string; id?: string } | null
  return data?.phase === phase && data.id === id
}

describe('the invariants', () => {
  it('hold for a sound history', () => {
    expect(brokenRules(soundHistory().history)).toEqual([])
  })

  it('hold for a history with a dead letter that was skipped and a key that is held', () => {
    const { builder, history } = soundHistory()
    builder.append('shop', { id: 'e4', type: 'shop.placed' })
    const letter = builder.append('millrace.shop.dead-letters', { id: 'd1', type: 'millrace.dead-letter' })
    const held = builder.append('shop', { id: 'e5', type: 'shop.placed' })
    expect(
      brokenRules({
        ...history,
        subscriptions: history.subscriptions.map((each) => ({ ...each, whenExhausted: 'park' })),
        deadLetters: [
          { handler: 'pack', source: 'shop', id: 'e4', attempts: 3, index: builder.log.indexOf(letter) },
        ],
        parked: [
          {
            handler: 'pack',
            topic: 'shop',
            key: 'k',
            first: held.offset,
            last: held.offset,
            dueMs: undefined,
          },
        ],
      }),
    ).toEqual([])
  })
})

describe('acknowledged events are kept', () => {
  const rule = invariants['acknowledged events are kept']

  it('fails when an acknowledged event is not in the log', () => {
    const { history } = soundHistory()
    const lost = without(history, ({ event }) => event.id === 'e2')
    expect(rule?.(lost)).toEqual(["'e2' was acknowledged at shop/0 1 and is not there"])
  })

  it('fails when a publish that was repeated is stored twice', () => {
    const { builder, history } = soundHistory()
    builder.append('shop', { id: 'e2', type: 'shop.placed' })
    expect(rule?.(history)).toEqual(["'e2' was published once and is stored 2 times"])
  })

  it('fails when a delayed event is not forwarded though it is due', () => {
    const { builder, history } = soundHistory()
    const { topic, partition, offset } = builder.append('millrace.shop.delayed', { id: 'd', type: 'delayed' })
    const delayed = { topic, partition, offset, id: 'd', source: 'shop' }
    expect(rule?.({ ...history, acknowledged: [{ ...delayed, dueMs: 500 }] })).toHaveLength(1)
    expect(rule?.({ ...history, acknowledged: [{ ...delayed, dueMs: 5_000 }] })).toEqual([])
  })
})

describe('every record is done', () => {
  it('fails when a record is neither handled nor dead-lettered nor parked', () => {
    const { builder, history } = soundHistory()
    builder.append('shop', { id: 'e4', type: 'shop.placed' })
    expect(invariants['every record is done']?.(history)).toEqual([
      "'e4' at shop/0 6 was never done by 'pack'",
    ])
  })
})

describe('nothing is handled twice', () => {
  it('fails when two attempts on one event are completed', () => {
    const { builder, placed, history } = soundHistory()
    const again = builder.attempt(placed[2] as LoggedRecord)
    builder.witness(again, 'done', 4, 'a3')
    expect(invariants['nothing is handled twice']?.(history)).toHaveLength(1)
  })

  it('fails when an event is completed and dead-lettered', () => {
    const { history } = soundHistory()
    const letter = { handler: 'pack', source: 'shop', id: 'e2', attempts: 3, index: 9 }
    expect(invariants['nothing is handled twice']?.({ ...history, deadLetters: [letter] })).toHaveLength(1)
  })

  it('allows an event that was handed back', () => {
    const { builder, placed, history } = soundHistory()
    const data = { handler: 'pack', topic: 'shop', key: 'k', offset: 2 }
    builder.append('millrace.shop.redrives', { id: 'r1', type: 'millrace.redrive', data })
    builder.witness(builder.attempt(placed[2] as LoggedRecord, { redriven: true }), 'done', 4, 'a3')
    expect(invariants['nothing is handled twice']?.(history)).toEqual([])
  })
})

describe('keys keep their order', () => {
  const rule = invariants['keys keep their order']

  it('fails for an inversion', () => {
    const { history } = soundHistory()
    const first = history.log.findIndex((record) => isWitness(record, 'done', 'e1'))
    const log = [...history.log]
    log.push(...log.splice(first, 1))
    expect(rule?.({ ...history, log })).toEqual(["'pack', key shop 'k': 'e2' was finished before 'e1'"])
  })

  it('fails for a gap', () => {
    const { history } = soundHistory()
    const gap = without(history, (record) => isWitness(record, 'done', 'e2'))
    expect(rule?.(gap)).toEqual(["'pack', key shop 'k': 'e3' was finished, 'e2' before it never was"])
  })

  it('fails for a dead letter that came after a later event was completed', () => {
    const { builder, history } = soundHistory()
    const gap = without(history, (record) => isWitness(record, 'done', 'e2'))
    const letter = builder.append('millrace.shop.dead-letters', { id: 'd1', type: 'millrace.dead-letter' })
    const log = [...gap.log, letter]
    const deadLetters = [{ handler: 'pack', source: 'shop', id: 'e2', attempts: 3, index: log.length - 1 }]
    expect(rule?.({ ...history, log, deadLetters })).toHaveLength(1)
  })
})

describe('keys keep their order, held by a handler that parks', () => {
  it('fails when an event is completed behind a dead letter that still holds the key', () => {
    const { builder, history } = soundHistory()
    const gap = without(history, (record) => isWitness(record, 'done', 'e2'))
    const second = builder.log.findIndex((record) => isWitness(record, 'done', 'e2'))
    const letter = builder.append('millrace.shop.dead-letters', { id: 'd1', type: 'millrace.dead-letter' })
    const log = gap.log.toSpliced(second, 0, { ...letter, step: second })
    const deadLetters = [{ handler: 'pack', source: 'shop', id: 'e2', attempts: 3, index: second }]
    const judged = { ...history, log, deadLetters }
    expect(invariants['keys keep their order']?.(judged)).toEqual([])
    const subscriptions = history.subscriptions.map((each) => ({ ...each, whenExhausted: 'park' as const }))
    expect(invariants['keys keep their order']?.({ ...judged, subscriptions })).toHaveLength(1)
  })

  it('allows what comes behind a dead letter that was given up, and nothing before that', () => {
    const { builder, history } = soundHistory()
    const subscriptions = history.subscriptions.map((each) => ({ ...each, whenExhausted: 'park' as const }))
    const rule = invariants['keys keep their order']
    const second = builder.log.findIndex((record) => isWitness(record, 'done', 'e2'))
    const gap = without({ ...history, subscriptions }, (record) => isWitness(record, 'done', 'e2'))
    expect(rule?.(gap)).toHaveLength(1)
    const data = { handler: 'pack', topic: 'shop', key: 'k', offset: 1, reason: 'nobody wants it' }
    const asked = builder.append('millrace.shop.redrives', { id: 'd1', type: 'millrace.discard', data })
    expect(rule?.({ ...gap, log: gap.log.toSpliced(second, 0, { ...asked, step: second }) })).toEqual([])
    expect(rule?.({ ...gap, log: [...gap.log, asked] })).toHaveLength(1)
  })
})

describe('keys are handled one at a time', () => {
  const rule = invariants['keys are handled one at a time']

  it('fails when an attempt begins while another on the key runs', () => {
    const { builder, placed, history } = soundHistory()
    const { beganAt } = builder.attempt(placed[2] as LoggedRecord, { endedAt: 1_000 })
    builder.attempt(placed[2] as LoggedRecord, { beganAt: beganAt + 2 })
    expect(rule?.(history)).toHaveLength(1)
  })

  it('fails when an attempt goes back to an earlier event', () => {
    const { builder, placed, history } = soundHistory()
    builder.attempt(placed[0] as LoggedRecord)
    expect(rule?.(history)).toHaveLength(1)
  })

  it('allows both under another claim', () => {
    const { builder, placed, history } = soundHistory()
    builder.attempt(placed[0] as LoggedRecord, { claim: 2, beganAt: 1 })
    expect(rule?.(history)).toEqual([])
  })
})

describe('failed attempts leave nothing', () => {
  const rule = invariants['failed attempts leave nothing']

  it('fails when an attempt that threw left its first effect', () => {
    const { builder, history } = soundHistory()
    const [failed] = builder.attempts
    if (failed === undefined) throw new Error('there should be an attempt')
    builder.witness(failed, 'begun', 1, null)
    expect(rule?.(history)).toEqual(["a0 of 'pack' on 'e1' threw, and left its first effect"])
  })

  it('fails when an attempt left only a part of its effects', () => {
    const { history } = soundHistory()
    expect(rule?.(without(history, (record) => isWitness(record, 'begun', 'e2')))).toHaveLength(1)
    expect(rule?.(without(history, (record) => isWitness(record, 'done', 'e2')))).toHaveLength(1)
  })
})

describe('an attempt that is silent', () => {
  it('counts as done, and must leave nothing', () => {
    const { builder, history } = soundHistory()
    const silent = builder.attempt(builder.append('shop', { id: 'e4', type: 'shop.placed' }), {
      silent: true,
    })
    expect(brokenRules(history)).toEqual([])
    builder.witness(silent, 'begun', 4, 'a3')
    builder.witness(silent, 'done', 4, 'a3')
    expect(brokenRules(history)).toContain('failed attempts leave nothing')
  })
})

describe('effects happen once', () => {
  const rule = invariants['effects happen once']

  it('fails when an emitted event is missing', () => {
    const { history } = soundHistory()
    expect(rule?.(without(history, ({ event }) => event.id === 'packed-e2'))).toEqual([
      "'shop.packed' caused by 'e2': completed attempts emitted 1, the log has 0",
    ])
  })

  it('fails when an event was emitted twice', () => {
    const { builder, history } = soundHistory()
    builder.append('shop', { id: 'packed-again', type: 'shop.packed', causationid: 'e2' })
    expect(rule?.(history)).toHaveLength(1)
  })

  it('lets an event be missing that is not due yet', () => {
    const { builder, history } = soundHistory()
    builder.attempts.at(-1)?.emits.push({ type: 'shop.reminded', dueMs: 5_000 })
    expect(rule?.(history)).toEqual([])
    builder.attempts.at(-1)?.emits.push({ type: 'shop.reminded', dueMs: 500 })
    expect(rule?.(history)).toHaveLength(1)
  })
})

describe('state follows effects', () => {
  const rule = invariants['state follows effects']

  it('fails when an attempt saw a state that was not the last', () => {
    const { builder, placed, history } = soundHistory()
    builder.witness(builder.attempt(placed[2] as LoggedRecord), 'done', 3, 'a2')
    expect(rule?.(history).length).toBeGreaterThan(0)
  })

  it('fails when the state at the end is not that of the last effect', () => {
    const { history } = soundHistory()
    const ledgers = [{ handler: 'pack', key: 'k', last: 'a2', count: 2 }]
    expect(rule?.({ ...history, ledgers })).toHaveLength(1)
  })
})

describe('cursors stay behind effects', () => {
  const rule = invariants['cursors stay behind effects']

  it('fails when a cursor has passed a record whose effects are not there yet', () => {
    const { history } = soundHistory()
    const cursors = history.cursors.map((sample) => ({ ...sample, step: 4 }))
    expect(rule?.({ ...history, cursors })).toHaveLength(3)
  })

  it('counts what is done above the cursor too', () => {
    const { history } = soundHistory()
    const cursors = history.cursors.map((sample) => ({
      ...sample,
      cursor: 0,
      done: [[1, 2] as const],
      step: 4,
    }))
    expect(rule?.({ ...history, cursors })).toHaveLength(1)
  })

  it('allows a cursor to pass what its key holds back', () => {
    const { history } = soundHistory()
    const cursors = history.cursors.map((sample) => ({
      ...sample,
      held: [{ key: 'k', first: 0, last: 2 }],
      step: 4,
    }))
    expect(rule?.({ ...history, cursors })).toEqual([])
  })
})

describe('once is stable', () => {
  it('fails when a later attempt is given another result', () => {
    const { builder, placed, history } = soundHistory()
    builder.attempt(placed[2] as LoggedRecord, { once: [{ name: 'label', run: 'another' }] })
    expect(invariants['once is stable']?.(history)).toHaveLength(1)
  })
})

describe('waiting ends when handled', () => {
  it('fails when a publisher was told so before a handler had completed its event', () => {
    const { history } = soundHistory()
    const judged = (handledAt: number) => ({
      ...history,
      acknowledged: history.acknowledged.slice(1, 2).map((event) => ({ ...event, handledAt })),
    })
    expect(invariants['waiting ends when handled']?.(judged(history.log.length))).toEqual([])
    expect(invariants['waiting ends when handled']?.(judged(4))).toHaveLength(1)
  })
})

describe('parked keys are drained', () => {
  const rule = invariants['parked keys are drained']
  const parked = { handler: 'pack', topic: 'shop', key: 'k', first: 0, last: 2 }

  it('fails when a parked key is still to be tried again', () => {
    const { history } = soundHistory()
    expect(rule?.({ ...history, parked: [{ ...parked, dueMs: 5 }] })).toHaveLength(1)
  })

  it('fails when a key is held by a handler that skips', () => {
    const { history } = soundHistory()
    expect(rule?.({ ...history, parked: [{ ...parked, dueMs: undefined }] })).toHaveLength(1)
  })
})

describe('what is handed on by another key', () => {
  const rule = invariants['what is handed on by another key is so once, and in order']
  const base = { handler: 'pack', kind: 'on', types: ['shop.placed'], fromStart: true } as const
  const subscription = { ...base, silent: false, whenExhausted: 'skip', keyOf: () => 'box' } as const

  /** Events of the shop, and those of them that are handed on, in order. */
  function handedOn(ids: readonly string[], changes: Partial<History> = {}, key = 'box'): readonly string[] {
    const builder = new HistoryBuilder()
    for (const id of ['e1', 'e2']) builder.append('shop', { id, type: 'shop.placed' })
    const own = { millraceto: 'pack', millracekey: key }
    for (const id of ids) builder.append('millrace.shop.rekeyed', { id, type: 'shop.placed', ...own })
    return rule?.(builder.history({ subscriptions: [subscription], ...changes })) ?? []
  }

  it('holds when every event is handed on once', () => {
    expect(handedOn(['e1', 'e2'])).toEqual([])
  })

  it('fails when an event is not handed on, or twice', () => {
    expect(handedOn(['e1'])).toEqual(["'shop e2' is in the log 1 times, and handed on to 'pack' 0 times"])
    expect(handedOn(['e1', 'e1', 'e2'])).toEqual([
      "'shop e1' is in the log 1 times, and handed on to 'pack' 2 times",
    ])
  })

  it('fails for another key than the handler gives', () => {
    expect(handedOn(['e1', 'e2'], {}, 'bag')).toEqual([
      "'e1' was handed on to 'pack' by key 'bag', not 'box'",
      "'e2' was handed on to 'pack' by key 'bag', not 'box'",
    ])
  })

  it('fails when what comes from one partition is handed on in another order', () => {
    expect(handedOn(['e2', 'e1'])).toEqual([
      "what was handed on to 'pack' from shop/0 to 'box' is out of order: 1, 0",
    ])
  })

  it('fails when the cursor has passed an event that is not handed on yet', () => {
    const cursor = { handler: 'pack', topic: 'shop', partition: 0, cursor: 2, done: [], held: [], step: 2 }
    expect(handedOn(['e1', 'e2'], { cursors: [cursor] })).toEqual([
      "the cursor of 'pack' in shop/0 passed 'e2' before it was handed on",
    ])
  })
})

describe('streams have no gap', () => {
  const rule = invariants['streams have no gap']
  const streams = [{ name: 'order', types: ['shop.opened'] }]
  const withStream = (versions: readonly (number | undefined)[], appends: History['appends'] = []) => {
    const { builder, history } = soundHistory()
    for (const [index, streamversion] of versions.entries()) {
      const version = streamversion === undefined ? {} : { streamversion }
      builder.append('shop', { id: `a-${index}.1`, type: 'shop.opened', ...version })
    }
    return { ...history, streams, appends }
  }
  const append = { stream: 'order', id: 'k', expectedVersion: 'any' as const, count: 1 }
  const done = (name: string, version: number) => {
    return { ...append, append: name, told: { version, ids: [`${name}.1`] } }
  }
  const refused = (name: string, conflict: number) => {
    return { ...append, append: name, expectedVersion: 1, told: { conflict } }
  }
  const untold = (name: string) => ({ ...append, append: name, told: 'nothing' as const })

  it('holds for versions in order, with what was told of them', () => {
    const appends = [done('a-0', 1), untold('a-1'), done('a-2', 3), refused('a-9', 3), untold('a-8')]
    expect(rule?.(withStream([1, 2, 3], appends))).toEqual([])
  })

  it.each([[[2]], [[1, 3]], [[1, 1]], [[2, 1]], [[1, undefined]]])('fails for versions %j', (versions) => {
    expect(rule?.(withStream(versions))).not.toEqual([])
  })

  it('fails when an append that was done is not there, or at another version', () => {
    expect(rule?.(withStream([1], [done('a-7', 1)]))).toHaveLength(1)
    expect(rule?.(withStream([1, 2], [done('a-0', 2)]))).toHaveLength(1)
  })

  it('fails when an append that was refused is there', () => {
    expect(rule?.(withStream([1, 2], [refused('a-1', 2)]))).toHaveLength(1)
  })

  it('fails when an append was refused for the version that it expected, or for one that there never was', () => {
    expect(rule?.(withStream([1, 2], [refused('a-9', 1)]))).toHaveLength(1)
    expect(rule?.(withStream([1, 2], [refused('a-9', 3)]))).toHaveLength(1)
  })

  it('fails when an event is there twice', () => {
    const { history, builder } = soundHistory()
    for (const streamversion of [1, 2])
      builder.append('shop', { id: 'a-0.1', type: 'shop.opened', streamversion })
    expect(rule?.({ ...history, streams })).toHaveLength(1)
  })

  it.each(['any', 'no-stream', 0] as const)(
    'holds for the first append, which expected %s',
    (expectedVersion) => {
      const appends = [{ ...untold('a-0'), expectedVersion }]
      expect(rule?.(withStream([1], appends))).toEqual([])
    },
  )

  it.each(['no-stream', 0, 2] as const)(
    'fails when an append that expected %s is the second',
    (expectedVersion) => {
      expect(rule?.(withStream([1, 2], [{ ...untold('a-1'), expectedVersion }]))).toHaveLength(1)
      expect(rule?.(withStream([1, 2], [{ ...done('a-1', 2), expectedVersion }]))).toHaveLength(1)
    },
  )

  it('fails when of two appends that expected the same version both are there', () => {
    const appends = [done('a-1', 2), untold('a-2')].map((each) => ({ ...each, expectedVersion: 1 }))
    expect(rule?.(withStream([1, 2, 3], appends))).toHaveLength(1)
    expect(rule?.(withStream([1, 2, 2], appends))).toHaveLength(1)
  })

  it('fails when a part of an append is there', () => {
    expect(rule?.(withStream([1], [{ ...untold('a-0'), count: 2 }]))).toHaveLength(1)
  })
})

describe('the state verifies', () => {
  it('fails when a verification finds something', () => {
    const { history } = soundHistory()
    const where = 'shop/0: subscription/pack/shop'
    const found = {
      kind: 'cursor-invalid',
      severity: 'damage',
      where,
      problem: 'It has no cursor.',
      fix: '',
    } as const
    expect(invariants['state verifies']?.({ ...history, findings: [found] })).toEqual([
      'shop/0: subscription/pack/shop: It has no cursor.',
    ])
  })
})
