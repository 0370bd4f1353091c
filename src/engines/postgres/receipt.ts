import type { Offset } from '../../log/port.ts'
import { arrayIn } from './columns.ts'
import type { Row } from './connection.ts'

/** Where a plan was written. */
export interface Receipt {
  /** How many ids there were before. */
  readonly idsBefore: number
  /** Of each place of the plan the number of its topic, and where it ended before. */
  readonly topicIds: readonly number[]
  readonly ends: readonly Offset[]
}

/** Reads the receipt in a row that has one. */
export function receiptIn(row: Row): Receipt {
  return {
    idsBefore: Number(row.ids_before),
    topicIds: arrayIn(row.topic_ids),
    ends: arrayIn(row.ends),
  }
}
