import { isMillraceError } from '../core/errors.ts'
import { maxParkedSample } from './handler-status.ts'
import type { OwnerQueries } from './owner-queries.ts'
import type { Owned } from './queries.ts'
import type { GroupStatus, HandlerStatus, HandlersOverview, ProcessPart } from './status.ts'

/** What an overview is put together from. */
export interface OverviewTools {
  readonly queries: Pick<OwnerQueries, 'ask'>
  /** How many partitions there are. */
  readonly partitions: number
  /** The name of the process that is asked. */
  readonly process: string
  /** What each group is doing in this process. */
  readonly groups: readonly { readonly group: string; readonly here: GroupStatus }[]
}

/**
 * What the handlers of an application are doing in all of its processes: one owner after the other is asked, for all that it
 * owns, until every partition is answered for.
 */
export async function handlersOverview(tools: OverviewTools): Promise<HandlersOverview> {
  const parts = await Promise.all(tools.groups.map((part) => askOwners(tools, part)))
  return {
    process: tools.process,
    handlers: parts.flatMap(({ statuses }) => merged(statuses)),
    processes: parts.flatMap(({ group, statuses }) => partsOf(group, statuses)),
    unanswered: parts.flatMap(({ unanswered }) => unanswered),
  }
}

interface Answers {
  readonly group: string
  /** This process first, even where it owns nothing. */
  readonly statuses: readonly GroupStatus[]
  readonly unanswered: readonly Owned[]
}

async function askOwners(
  { queries, partitions }: OverviewTools,
  { group, here }: OverviewTools['groups'][number],
): Promise<Answers> {
  // A process that is given a partition meanwhile answers twice, and then the later answer counts.
  const statuses = new Map([[here.process, here]])
  const open = new Set(Array.from({ length: partitions }, (_, partition) => partition))
  const take = (status: GroupStatus) => {
    statuses.set(status.process, status)
    for (const partition of status.partitions) open.delete(partition)
  }
  const unanswered: Owned[] = []
  const ask = async (partition: number) => {
    open.delete(partition)
    try {
      take(await queries.ask({ group, partition }, { kind: 'handlers' }))
    } catch (error) {
      if (!isMillraceError(error, 'OWNER_UNREACHABLE')) throw error
      unanswered.push({ group, partition })
    }
  }
  take(here)
  while (open.size > 0) {
    // Where one does not answer the others are not asked one after the other: each may take as long.
    const [first] = open
    const next = unanswered.length > 0 ? [...open] : [first as number]
    await Promise.all(next.map(ask))
  }
  const answered = new Set([...statuses.values()].flatMap((status) => status.partitions))
  return {
    group,
    statuses: [...statuses.values()],
    unanswered: unanswered.filter(({ partition }) => !answered.has(partition)),
  }
}

function partsOf(group: string, statuses: readonly GroupStatus[]): readonly ProcessPart[] {
  return statuses.map(({ process, partitions }) => ({ process, group, partitions }))
}

function merged(statuses: readonly GroupStatus[]): readonly HandlerStatus[] {
  const handlers = new Map<string, HandlerStatus>()
  for (const status of statuses.flatMap((part) => part.handlers)) {
    const known = handlers.get(status.name)
    handlers.set(status.name, known === undefined ? status : added(known, status))
  }
  return [...handlers.values()]
}

function added(one: HandlerStatus, other: HandlerStatus): HandlerStatus {
  const durations = [one.durations, other.durations].filter((each) => each !== undefined)
  const [first, second] = durations
  const summary =
    first === undefined || second === undefined
      ? first
      : {
          medianMs: Math.max(first.medianMs, second.medianMs),
          longestMs: Math.max(first.longestMs, second.longestMs),
        }
  return {
    ...one,
    partitions: [...new Set([...one.partitions, ...other.partitions])].sort((a, b) => a - b),
    lag: one.lag + other.lag,
    inFlight: one.inFlight + other.inFlight,
    waiting: one.waiting + other.waiting,
    parked: {
      keys: one.parked.keys + other.parked.keys,
      records: one.parked.records + other.parked.records,
      sample: [...one.parked.sample, ...other.parked.sample].slice(0, maxParkedSample),
    },
    paused: one.paused || other.paused,
    stuck: [...one.stuck, ...other.stuck],
    ...(summary === undefined ? {} : { durations: summary }),
    counts: {
      handled: one.counts.handled + other.counts.handled,
      attempts: one.counts.attempts + other.counts.attempts,
      failures: one.counts.failures + other.counts.failures,
      deadLettered: one.counts.deadLettered + other.counts.deadLettered,
    },
  }
}
