import type { Event } from '../core/event.ts'
import { markId, ruleMarkType } from './rules/rule-marks.ts'

/**
 * What an event is known by when it is appended twice. It follows from the record, so that a log can be moved to an engine
 * which keeps ids in another form.
 */
export function deduplicationIdOf(event: Event, partition: number): string {
  return event.type === ruleMarkType ? markId(event.id, partition) : `${event.source} ${event.id}`
}
