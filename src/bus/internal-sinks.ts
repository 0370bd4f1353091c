import type { Claim } from '../log/port.ts'
import type { CursorTracker } from './cursor-tracker.ts'
import { discardType, redriveType, takeRequests } from './dead-letter-requests.ts'
import type { GroupTools } from './group-tools.ts'
import { newTracker } from './partition-setup.ts'
import type { PartitionState } from './partition-state.ts'
import type { QueriedPartition } from './queried-partition.ts'
import { queryType } from './queries.ts'
import { takeQueries } from './query-answers.ts'
import { ruleMarkType } from './rules/rule-marks.ts'
import type { Subscription } from './subscription.ts'
import { InternalSink, type InternalSinkOptions } from './subscription-sink.ts'
import { delayStep } from './timers.ts'

/** The event type that a delayed event waits under. */
export const delayedType = 'millrace.delayed'

/** What the internal sinks of a partition work with. */
export interface InternalSinkTools {
  readonly group: GroupTools
  readonly claim: Claim
  readonly state: PartitionState
  /** Grows when the handler of rules is set up while the partition is at work. */
  readonly subscriptions: readonly Subscription[]
  queried(): QueriedPartition
  /** A timer was set, or a parked key is due. */
  dueChanged(): void
  /** The application has got its first rules. */
  rulesBegin(): Promise<void>
  failed(error: unknown): void
}

/** An internal sink with the name that its cursor is kept under. */
export interface NamedSink {
  readonly name: string
  readonly sink: InternalSink
}

/** The readers of a group's internal topics in one partition: what is delayed, asked and redriven there. */
export async function internalSinks(tools: InternalSinkTools): Promise<readonly NamedSink[]> {
  const { group, state } = tools
  const { internal, logger, runtime, engine, repliesTopic, source } = group
  const replies = { repliesTopic, partitions: engine.partitions, source, runtime }
  const requestTools = {
    state,
    runtime,
    logger,
    subscriptions: tools.subscriptions,
    replies,
    startOf: async (topic: string) =>
      (await engine.bounds({ topic, partition: tools.claim.partition })).start,
  }
  const queryTools = { ...replies, logger }
  const make = async (
    name: string,
    topic: string,
    types: readonly string[],
    take: InternalSinkOptions['take'],
  ): Promise<NamedSink> => {
    const tracker: CursorTracker = await newTracker(group, tools.claim, state, name, topic)
    const failed = (error: unknown) => tools.failed(error)
    return { name, sink: new InternalSink(types, tracker, state, { take, logger, failed }) }
  }
  const rules = (): Promise<NamedSink> => {
    return make('$rule-marks', group.rules.topic, [ruleMarkType], async (records) => {
      await tools.rulesBegin()
      for (const { stage } of records) stage({})
    })
  }
  return [
    ...(group.actsOnRules ? [await rules()] : []),
    // Events published with a delay become timers.
    await make('$delayed', internal.delayed, [delayedType], (records) => {
      for (const { event, record, stage } of records) stage(delayStep(event, record))
    }),
    // Requests to hand dead letters back become parked keys that are due; discarded ones are forgotten.
    await make('$redrives', internal.redrives, [redriveType, discardType], async (records) => {
      await takeRequests(records, requestTools)
      tools.dueChanged()
    }),
    // Questions of other processes are answered from what is committed here.
    await make('$queries', internal.queries, [queryType], (records) =>
      takeQueries(records, tools.queried(), queryTools),
    ),
  ]
}
