/**
 * Goal: rules hold for what is behind their change and for nothing else, and do what they say once, whatever fails meanwhile.
 * Method: rules are put, switched, removed and given another policy in the course of seeds, through any process that runs, while
 * events flow, processes crash and claims move. What must come of it is found from the log alone.
 */
import { describe, expect, it } from 'vitest'
import { simulateRules } from '../../scripts/torture/courses/rules.ts'

describe('rules hold', () => {
  it.each([1, 13, 25])(
    'when they change while everything fails, seeds from %i',
    { timeout: 120_000 },
    async (first) => {
      const sums = { hidden: 0, emitted: 0, sent: 0, moved: 0, changes: 0 }
      for (let seed = first; seed < first + 12; seed += 1) {
        const { history } = await simulateRules(seed)
        for (const { hidden, emits, sends, moves } of history.ruled?.values() ?? []) {
          sums.hidden += hidden ? 1 : 0
          sums.emitted += emits.length
          sums.sent += sends.length
          sums.moved += moves.length
        }
        sums.changes += history.log.filter(({ event: { type } }) => type === 'millrace.rules.changed').length
      }
      expect(sums.changes).toBeGreaterThan(30)
      expect(sums.hidden).toBeGreaterThan(30)
      expect(sums.emitted).toBeGreaterThan(30)
      expect(sums.sent).toBeGreaterThan(10)
      expect(sums.moved).toBeGreaterThan(5)
    },
  )
})
