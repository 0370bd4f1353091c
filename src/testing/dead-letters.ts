import { type DeadLetter as DeadLetterData, deadLetterType } from '../bus/dead-letter.ts'
import type { Event } from '../core/event.ts'
import type { DeadLetter, LoggedRecord } from './history.ts'

/** The dead letters in a log. Those of records that could not be read at all name no event, and are left out. */
export function deadLettersOf(log: readonly LoggedRecord[]): readonly DeadLetter[] {
  const letters: DeadLetter[] = []
  for (const [index, { event }] of log.entries()) {
    if (event.type !== deadLetterType) continue
    const { handler, attempts, event: dead } = event.data as DeadLetterData
    if (dead === null) continue
    const { source, id } = dead as Event
    letters.push({ handler, source, id, attempts, index })
  }
  return letters
}
