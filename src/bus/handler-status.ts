import type { LogEngine } from '../log/port.ts'
import type { HandlerDefinition } from './definitions.ts'
import type { PartitionProcessor } from './partition-processor.ts'
import { type RecentDurations, summarizeDurations } from './recent-durations.ts'
import type { HandlerCounts, HandlerStatus, ParkedStatus } from './status.ts'

/** What a handler's status is read from. */
export interface HandlerStatusTools {
  readonly engine: LogEngine
  readonly group: string
  /** The partitions of the group that are owned here. */
  readonly processors: ReadonlyMap<number, PartitionProcessor>
  readonly topics: readonly string[]
  readonly counts: HandlerCounts | undefined
}

/** The most parked keys of a handler that are shown. */
export const maxParkedSample = 20

/** What a handler is doing in this process. */
export async function handlerStatus(
  { name, kind }: HandlerDefinition,
  { engine, group, processors, topics, counts }: HandlerStatusTools,
): Promise<HandlerStatus> {
  const totals = { lag: 0, inFlight: 0, waiting: 0, keys: 0, records: 0 }
  const sample: ParkedStatus[] = []
  const stuck: string[] = []
  const recent: RecentDurations[] = []
  let paused = false
  for (const [partition, processor] of processors) {
    const subscription = processor.subscriptions.find((other) => other.definition.name === name)
    if (subscription === undefined) continue
    for (const tracker of [...subscription.trackers.values(), ...subscription.sources]) {
      const { end } = await engine.bounds({ topic: tracker.topic, partition })
      totals.lag += Math.max(0, end - tracker.cursor)
    }
    totals.inFlight += subscription.inFlight
    totals.waiting += subscription.held - Math.min(subscription.held, subscription.inFlight)
    totals.keys += subscription.parked.size
    stuck.push(...subscription.stuck)
    recent.push(subscription.durations)
    paused ||= subscription.paused
    for (const { topic, key, entry } of subscription.parked) {
      totals.records += entry.count + (entry.redrive?.length ?? 0)
      if (sample.length >= maxParkedSample) continue
      const { first, last, count, attempt, dueMs } = entry
      const error = entry.failures.at(-1)?.error.message ?? ''
      const due = dueMs === null ? {} : { dueMs }
      sample.push({ topic, key, partition, first, last, count, attempt, ...due, error })
    }
  }
  const durations = summarizeDurations(recent)
  return {
    name,
    kind,
    group,
    topics,
    partitions: [...processors.keys()].sort((a, b) => a - b),
    lag: totals.lag,
    inFlight: totals.inFlight,
    waiting: totals.waiting,
    parked: { keys: totals.keys, records: totals.records, sample },
    paused,
    stuck,
    ...(durations === undefined ? {} : { durations }),
    counts: { ...(counts ?? { handled: 0, attempts: 0, failures: 0, deadLettered: 0 }) },
  }
}
