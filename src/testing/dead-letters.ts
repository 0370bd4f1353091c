import type { DeadLetter, LoggedRecord } from './history.ts'

/** The dead letters in a log. */
export function deadLettersOf(log: readonly LoggedRecord[]): readonly DeadLetter[] {
  const letters: DeadLetter[] = []
  for (const [index, { topic, event }] of log.entries()) {
    if (!topic.startsWith('millrace.') || !topic.endsWith('.dead-letters')) continue
    letters.push({ handler: '', source: event.source, id: event.id, attempts: 0, index })
  }
  return letters
}
