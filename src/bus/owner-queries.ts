import { isMillraceError, MillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'
import { within } from './deadline.ts'
import { internalTopics } from './internal-topics.ts'
import type { QueriedPartition } from './queried-partition.ts'
import {
  type Owned,
  type Queries,
  type Query,
  type QueryKind,
  type QueryReply,
  queriesHandler,
  queryEntry,
} from './queries.ts'
import { answerQuery } from './query-answers.ts'
import type { Waiter } from './waiting-publishers.ts'

/** How long an owner has to answer, unless set otherwise, in milliseconds. */
export const defaultAnswerTimeoutMs = 5_000

/** What {@link OwnerQueries} works with. */
export interface OwnerQueryTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  /** A partition of a group that is at work in this process. */
  local(group: string, partition: number): QueriedPartition | undefined
  /** Begins to wait for a reply. */
  begin(handlers: readonly string[]): Promise<Waiter>
}

/**
 * Asks the owners of partitions, whichever process they are: a query is a record in the partition it is about, its answer
 * one where this process waits. What is owned here is answered at once, without a record.
 */
export class OwnerQueries {
  readonly #tools: OwnerQueryTools

  constructor(tools: OwnerQueryTools) {
    this.#tools = tools
  }

  /** The owner's answer. `OWNER_UNREACHABLE` when nobody answers in time, `OVERLOADED` when too many wait already. */
  async ask<Kind extends QueryKind>(
    at: Owned,
    query: Query<Kind>,
    timeoutMs = defaultAnswerTimeoutMs,
  ): Promise<Queries[Kind]['answer']> {
    const local = this.#tools.local(at.group, at.partition)
    if (local === undefined) return this.#askByRecord(at, query, timeoutMs)
    try {
      return await answerQuery(query, local)
    } catch (error) {
      // The partition has changed hands.
      if (!isMillraceError(error, 'NOT_OWNER')) throw error
      return this.#askByRecord(at, query, timeoutMs)
    }
  }

  async #askByRecord<Kind extends QueryKind>(
    { group, partition }: Owned,
    query: Query<Kind>,
    timeoutMs: number,
  ): Promise<Queries[Kind]['answer']> {
    const { engine, runtime, begin } = this.#tools
    const expired = () =>
      new MillraceError(
        'OWNER_UNREACHABLE',
        `The owner of partition ${partition} did not answer within ${timeoutMs} ms.`,
        {
          where: `group '${group}', partition ${partition}`,
          fix: 'Ask again after a moment; if it lasts, see which process owns the partition.',
          facts: { group, partition },
        },
      )
    const waiter = await begin([queriesHandler])
    try {
      const place = { topic: internalTopics(group).queries, partition }
      await engine.append([queryEntry(place, query as Query, { ...this.#tools, replyTo: waiter.address })])
      const [reply] = await within(waiter.done, { runtime, timeoutMs, expired })
      const value = reply?.value as QueryReply
      if (value.ok) return value.answer as Queries[Kind]['answer']
      throw new MillraceError('OWNER_UNREACHABLE', `The owner of partition ${partition} cannot answer.`, {
        where: `group '${group}', partition ${partition}`,
        fix: 'See the log of the process that owns it.',
        cause: new Error(value.message),
        facts: { group, partition },
      })
    } finally {
      waiter.end()
    }
  }
}
