import type { LogRecord } from '../record-cache.ts'

/** The event type of the mark that says, in every place of an application, where a change to its rules takes effect. */
export const ruleMarkType = 'millrace.rules.mark'

/** What makes the mark of a change in a partition one and the same, whoever puts it there. */
export function markId(changeId: string, partition: number): string {
  return `${changeId} ${partition}`
}

/** The change whose mark a record is; undefined for every other record. */
export function ruleMarkOf(record: LogRecord): string | undefined {
  try {
    return record.event.type === ruleMarkType ? record.event.id : undefined
  } catch {
    return undefined
  }
}
