import type { AttemptTools } from './context.ts'
import type { ReadForDrain } from './drain.ts'
import type { HandlerFilters } from './handler-filters.ts'
import type { PartitionRules } from './rules/partition-rules.ts'
import type { HandlerCounts } from './status.ts'
import type { Timed } from './timers.ts'

/** What a subscription works with. */
export interface SubscriptionTools extends AttemptTools {
  readonly partition: number
  readonly deadLetters: string
  /** Where publishers of this application wait for replies. */
  readonly repliesTopic: string
  /** Where records wait that are handed on by another key. */
  readonly rekeyedTopic: string
  readonly partitions: number
  readonly source: string
  readonly counts: HandlerCounts
  readonly filters: HandlerFilters
  readonly rules: PartitionRules
  readonly readForDrain: ReadForDrain
  /** Something of a subscription has ended: there may be room to read, or a new time to wait for. */
  changed(subscription: Timed): void
  /** The partition cannot go on. */
  failed(error: unknown): void
}
