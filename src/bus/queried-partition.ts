import type { Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'
import type { PartitionState } from './partition-state.ts'
import type { GroupStatus } from './status.ts'
import type { Subscription } from './subscription.ts'

/** A partition that is at work in this process, as queries see it. */
export interface QueriedPartition {
  readonly partition: number
  readonly state: PartitionState
  readonly subscriptions: readonly Subscription[]
  readonly engine: LogEngine
  readonly runtime: Runtime
  /** What all handlers of the group are doing in this process. */
  groupStatus(): Promise<GroupStatus>
}
