import { describe, expect, it } from 'vitest'
import type { History, ToldResult } from '../../src/testing/history.ts'
import { invariants } from '../../src/testing/invariants/index.ts'
import { soundHistory } from './history-builder.ts'

const rule = invariants['commands are decided once']

/** The sound history, in which every event is a command that was decided by its attempt's name. */
function decided(told: Partial<ToldResult>, changes: Partial<History> = {}): readonly string[] {
  const { history } = soundHistory()
  for (const attempt of history.attempts) attempt.decision = { ok: true, result: attempt.nonce }
  const result: ToldResult = {
    source: 'shop',
    id: 'e1',
    told: { ok: true, result: 'a1' },
    at: history.log.length,
    isFinal: false,
    ...told,
  }
  return rule?.({ ...history, results: [result], ...changes }) ?? []
}

const letter = { handler: 'pack', source: 'shop', id: 'e1', attempts: 1, index: 0 }

describe('commands are decided once', () => {
  it('holds where what is told is what was committed, or not yet known', () => {
    expect(decided({})).toEqual([])
    expect(decided({ told: 'pending' })).toEqual([])
    expect(decided({ told: 'given up' }, { deadLetters: [letter] })).toEqual([])
  })

  it('fails when a command is told as an attempt decided it that was not committed', () => {
    expect(decided({ told: { ok: true, result: 'a0' } })).toEqual([
      `'e1' was told as {"ok":true,"result":"a0"}, and was decided as {"ok":true,"result":"a1"}`,
    ])
    expect(decided({ told: { ok: false, failure: 'a1' } })).toHaveLength(1)
  })

  it('fails when it is told before that was in the log', () => {
    expect(decided({ at: 3 })).toEqual([`'e1' was told as {"ok":true,"result":"a1"} before it was decided`])
  })

  it('fails when nothing is known of it, or not in the end', () => {
    expect(decided({ told: 'unknown' })).toHaveLength(1)
    expect(decided({ told: 'pending', isFinal: true })).toHaveLength(1)
  })

  it('fails when it is told as given up without a dead letter, or though it was decided since', () => {
    expect(decided({ told: 'given up' })).toHaveLength(1)
    expect(decided({ told: 'given up', isFinal: true }, { deadLetters: [letter] })).toHaveLength(1)
  })
})
