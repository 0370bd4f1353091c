import { typePatternFault } from '../../core/type-pattern.ts'
import { formatPosition } from '../../gateway/live/position.ts'
import type { LogAccess, ShownRecord, TopicView } from '../access/port.ts'
import { type CommandContext, misuse } from '../command.ts'

/** What `tail --follow` shows. */
export interface FollowedTail {
  readonly access: LogAccess
  /** The topics as they were when the records before were read: it goes on at their ends. */
  readonly views: readonly TopicView[]
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly types: readonly string[]
  readonly signal: AbortSignal
}

/** Gives the records that come, until the signal aborts; tells on standard error when the connection is interrupted. */
export async function* followTail(tail: FollowedTail, context: CommandContext): AsyncGenerator<ShownRecord> {
  const { access, views, topic, partition, types, signal } = tail
  const { output, runtime } = context
  const ends = views.map(({ name, partitions }) => [name, partitions.map(({ end }) => end)] as const)
  // Only one process can have such a log open.
  const alone = access.location.startsWith('lmdb:') ? ' Until then no application can be started on it.' : ''
  output.note(`Following ${access.location}; Ctrl+C ends it.${alone}`)
  const steps = access.follow({
    topics: topic === undefined ? undefined : [topic],
    types,
    after: formatPosition(new Map(ends)),
    signal,
    runtime,
    onInterrupted: (error) => output.warning(error),
    onResumed: () => output.note('Connected again.'),
  })
  for await (const step of steps) {
    if ('skipped' in step) output.warning(step.skipped)
    else if (partition === undefined || step.record.partition === partition) yield step.record
  }
}

/** Reads a value of `--type`, together with those before it. */
export function typePattern(text: string, before: readonly string[] = []): readonly string[] {
  const fault = typePatternFault(text)
  if (fault === undefined) return [...before, text]
  throw misuse(
    `The pattern '${text}' ${fault}.`,
    '--type',
    "Use words with dots between them; '*' stands for one word, '>' at the end for all that follow.",
  )
}
