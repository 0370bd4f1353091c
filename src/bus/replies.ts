import type { Event } from '../core/event.ts'
import { encodeEvent } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import type { Entry } from '../log/port.ts'
import { rulesHandler } from './internal-topics.ts'
import type { ErrorRecord } from './parked-entry.ts'

/** The event type of a reply. */
export const replyType = 'millrace.reply'

/** The data of a reply: how one handler has done with an event whose publisher waits. */
export interface Reply {
  /** Which of the process's waiting publishers it is for. */
  readonly waiter: string
  readonly handler: string
  readonly outcome: 'handled' | 'dead-lettered'
  readonly error?: ErrorRecord
  /** What else whoever waits is told: how a command was decided, or the answer to a query. */
  readonly value?: unknown
}

/** Where a publisher waits: its process's partition of the topic of replies. */
export interface ReplyAddress {
  readonly topic: string
  readonly partition: number
  readonly waiter: string
}

/** An address in the form that travels with the event, in its extension `millracereplyto`. */
export function writeReplyAddress({ topic, partition, waiter }: ReplyAddress): string {
  return `${topic}/${partition}/${waiter}`
}

/** What replies are made with. */
export interface ReplyTools {
  readonly repliesTopic: string
  readonly partitions: number
  readonly source: string
  readonly runtime: Runtime
}

/**
 * The entries that tell the publisher of `event` how a handler has done with it: one where it waits, none otherwise. They
 * go into the step that makes the event done, so that there is a reply exactly when there is that.
 */
export function replyEntries(
  event: Event | undefined,
  reply: Omit<Reply, 'waiter'>,
  tools: ReplyTools,
): Entry[] {
  // Nobody waits for what rules do beside the handlers.
  if (event?.millracereplyto === undefined || reply.handler === rulesHandler) return []
  const [topic, digits, waiter] = event.millracereplyto.split('/')
  const partition = Number(digits)
  const isOurs = topic === tools.repliesTopic && Number.isInteger(partition) && partition >= 0
  if (!isOurs || partition >= tools.partitions || waiter === undefined) return []
  const nowMs = tools.runtime.now()
  const data: Reply = { waiter, ...reply }
  const wrapped: Event = {
    specversion: '1.0',
    id: tools.runtime.id(),
    source: tools.source,
    type: replyType,
    time: new Date(nowMs).toISOString(),
    correlationid: event.correlationid ?? event.id,
    causationid: event.id,
    data,
  }
  return [{ topic, partition, value: encodeEvent(wrapped), timeMs: nowMs, comesLast: true }]
}
