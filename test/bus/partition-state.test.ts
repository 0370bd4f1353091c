import { describe, expect, test } from 'vitest'
import { CursorTracker } from '../../src/bus/cursor-tracker.ts'
import { PartitionState } from '../../src/bus/partition-state.ts'
import type { Change, Claim, KeyRange } from '../../src/log/port.ts'
import { turn } from '../../src/testing/turn.ts'

/** A claim over a map, which keeps count of its calls; commits and reads wait until they are let go. */
function bench(cellBytes?: number) {
  const stored = new Map<string, string>()
  const reads: (readonly string[])[] = []
  const commits: Change[] = []
  let held: Promise<unknown> | undefined
  const claim = {
    partition: 0,
    get: async (keys: readonly string[]) => {
      reads.push([...keys])
      const values = keys.map((key) => stored.get(key)).map((text) => text && Buffer.from(text))
      await held
      return values
    },
    range: async ({ from, to }: KeyRange) =>
      [...stored].flatMap(([key, text]) =>
        key >= from && key < to ? [{ key, value: Buffer.from(text) }] : [],
      ),
    commit: async (change: Change) => {
      commits.push(change)
      for (const { key, value } of change.puts) stored.set(key, Buffer.from(value).toString())
      for (const key of change.deletes) stored.delete(key)
      return []
    },
  } as unknown as Claim
  const parts = { parts: () => ({ puts: [], needs: {} }), committed() {}, failed() {} }
  const state = new PartitionState(claim, parts, cellBytes)
  const hold = () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    held = promise
    return resolve
  }
  return { state, stored, reads, commits, hold }
}

const cell = (name: string) => `state/handler/cell/${name}`

describe('the state of a claim', () => {
  test('reads a cell once, and then knows it for as long as it is the only one that writes it', async () => {
    const { state, stored, reads } = bench()
    stored.set(cell('a'), '1')
    expect(await state.get(cell('a'))).toBe('1')
    expect(await state.get(cell('a'))).toBe('1')
    state.stage({ puts: [[cell('a'), '2']] })
    void state.run()
    await state.flush()
    expect(await state.get(cell('a'))).toBe('2')
    state.stage({ deletes: [cell('a')] })
    await state.flush()
    expect(await state.get(cell('a'))).toBeUndefined()
    expect(reads).toEqual([[cell('a')]])
    state.abandon('over')
  })

  test('reads what is asked for in one turn together, and each key once', async () => {
    const { state, stored, reads } = bench()
    stored.set(cell('a'), '1')
    const asked = ['a', 'b', 'a'].map((name) => state.get(cell(name)))
    expect(await Promise.all(asked)).toEqual(['1', undefined, '1'])
    expect(reads).toEqual([[cell('a'), cell('b')]])
  })

  test('does not take what was read before a write for what is there after it', async () => {
    const { state, stored, hold } = bench(1)
    stored.set(cell('a'), 'old')
    const release = hold()
    const asked = state.get(cell('a'))
    await turn()
    state.stage({ puts: [[cell('a'), 'new']] })
    void state.run()
    // Durable, and with no room for it forgotten.
    await state.flush()
    release()
    expect(await asked).toBe('old')
    expect(await state.get(cell('a'))).toBe('new')
    state.abandon('over')
  })

  test('knows when nothing is remembered of once, until something is', async () => {
    const { state } = bench()
    expect(state.mayRemember).toBe(true)
    await state.lookForRare()
    expect(state.mayRemember).toBe(false)
    state.stage({ puts: [['once/handler/topic/0/name', '{}']] })
    expect(state.mayRemember).toBe(true)
    await state.lookForRare()
    expect(state.mayRemember).toBe(true)
  })

  test('knows when no dead letter is open, until one is', async () => {
    const { state } = bench()
    expect(state.mayHaveDeadLetters).toBe(true)
    await state.lookForRare()
    expect(state.mayHaveDeadLetters).toBe(false)
    state.stage({ puts: [['dead-letter/handler/topic/0', '{}']] })
    expect(state.mayHaveDeadLetters).toBe(true)
    const later = bench()
    later.stored.set('dead-letter/handler/topic/0', '{}')
    await later.state.lookForRare()
    expect([later.state.mayHaveDeadLetters, later.state.mayRemember]).toEqual([true, false])
  })

  test('knows nothing any more once it is abandoned', async () => {
    const { state, stored, reads } = bench()
    stored.set(cell('a'), '1')
    await state.get(cell('a'))
    state.abandon('over')
    await state.get(cell('a'))
    expect(reads).toHaveLength(2)
  })

  test('marks records that leave nothing behind with the steps around them, in order', async () => {
    const { state, commits } = bench()
    const tracker = new CursorTracker('topic', { cursor: 0, done: [] })
    for (const offset of [0, 1, 2, 3]) tracker.add(offset)
    tracker.advance(4)
    const nothing = { puts: [], deletes: [], appends: [] }
    state.stageDone(tracker, 0, nothing)
    state.stageDone(tracker, 1, nothing)
    state.stageDone(tracker, 2, { ...nothing, puts: [[cell('a'), '1']] })
    state.stageDone(tracker, 3, nothing)
    expect(tracker.undone).toBe(4)
    expect(state.isDurable).toBe(false)
    void state.run()
    await state.flush()
    expect(state.isDurable).toBe(true)
    expect(tracker.undone).toBe(0)
    expect(commits.map(({ puts }) => puts.map(({ key }) => key))).toEqual([[cell('a')]])
    state.abandon('over')
  })
})
