import type { History } from '../../src/testing/history.ts'
import { invariants } from '../../src/testing/invariants/index.ts'

/** What only holds once nothing is left to do. */
const ofTheEnd = new Set(['every record is done', 'parked keys are drained'])

/** The rules that a history breaks, a sentence for each; of one that was cut off, only rules that hold at any moment. */
export function breachesOf(history: History, { isFinished }: { readonly isFinished: boolean }): string[] {
  return Object.entries(invariants)
    .filter(([rule]) => isFinished || !ofTheEnd.has(rule))
    .flatMap(([rule, invariant]) => invariant(history).map((what) => `${rule}: ${what}`))
}
