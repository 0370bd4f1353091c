import { isMillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'
import type { DeadLettersOutcome, DeadLetterWait } from './dead-letter-list.ts'
import { type Asked, type RequestReply, redriveType, requestEntry } from './dead-letter-requests.ts'
import { within } from './deadline.ts'
import type { FoundDeadLetter } from './found-dead-letters.ts'
import { internalTopics } from './internal-topics.ts'
import type { OwnerQueries } from './owner-queries.ts'
import { defaultWaitTimeoutMs } from './publisher.ts'
import type { RedrivenState } from './queries.ts'
import type { Waiter } from './waiting-publishers.ts'

/** What {@link DeadLetterOrders} works with. */
export interface DeadLetterOrderTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  readonly queries: OwnerQueries
  /** Begins to wait for replies of these names. */
  begin(names: readonly string[]): Promise<Waiter>
}

/** What is asked about one dead letter. */
interface Order {
  readonly found: FoundDeadLetter
  readonly asked: Asked
  /** The id of the request. */
  readonly id: string
}

/** How often it is asked what has become of what was redriven, in milliseconds: at first, and at most. */
const askAgainMs = { first: 50, most: 2_000 } as const

/**
 * Asks the owners to redrive or to discard, and tells what came of it. Each request is one record in the partition of its
 * dead letter; the reply to it is in the step that executes it.
 */
export class DeadLetterOrders {
  readonly #tools: DeadLetterOrderTools

  constructor(tools: DeadLetterOrderTools) {
    this.#tools = tools
  }

  /** Asks, and waits for what comes of it where that is wanted. */
  async give(
    chosen: readonly FoundDeadLetter[],
    askedOf: (found: FoundDeadLetter) => Asked,
    { wait, waitTimeoutMs = defaultWaitTimeoutMs }: DeadLetterWait,
  ): Promise<DeadLettersOutcome | undefined> {
    const { runtime, begin } = this.#tools
    const orders = chosen.map((found) => ({ found, asked: askedOf(found), id: runtime.id() }))
    if (!wait) {
      await this.#append(orders, undefined)
      return undefined
    }
    const waiter = await begin(orders.map(({ id }) => id))
    try {
      await this.#append(orders, waiter.address)
      return await this.#outcome(orders, waiter, waitTimeoutMs)
    } finally {
      waiter.end()
    }
  }

  async #append(orders: readonly Order[], replyTo: string | undefined): Promise<void> {
    if (orders.length === 0) return
    const entries = orders.map(({ found: { at }, asked, id }) => {
      const place = { topic: internalTopics(at.group).redrives, partition: at.partition }
      return requestEntry(place, asked, { ...this.#tools, id, replyTo })
    })
    await this.#tools.engine.append(entries)
  }

  async #outcome(orders: readonly Order[], waiter: Waiter, timeoutMs: number): Promise<DeadLettersOutcome> {
    const { runtime } = this.#tools
    const states = new Map<string, RedrivenState>()
    const over = new Error('the time is over')
    const ended = new AbortController()
    const settled = waiter.done.then(() => this.#follow(redriven(orders, waiter), states, ended.signal))
    try {
      await within(settled, { runtime, timeoutMs, expired: () => over })
    } catch (error) {
      if (error !== over) throw error
    } finally {
      ended.abort(over)
    }
    return sorted(orders, waiter, states)
  }

  /** Asks the owners what has become of redriven dead letters until none of them is tried any more. */
  async #follow(
    orders: readonly Order[],
    states: Map<string, RedrivenState>,
    signal: AbortSignal,
  ): Promise<void> {
    let left = orders
    for (
      let waitMs: number = askAgainMs.first;
      left.length > 0;
      waitMs = Math.min(2 * waitMs, askAgainMs.most)
    ) {
      for (const ofOne of byPartition(left)) await this.#look(ofOne, states)
      left = left.filter(({ id }) => (states.get(id) ?? 'trying') === 'trying')
      if (left.length > 0) await this.#tools.runtime.sleep(waitMs, signal)
    }
  }

  async #look(orders: readonly Order[], states: Map<string, RedrivenState>): Promise<void> {
    const [first] = orders
    if (first === undefined) return
    const letters = orders.map(({ asked: { data }, found: { eventId } }) => ({ ...data, eventId }))
    try {
      const answer = await this.#tools.queries.ask(first.found.at, { kind: 'redriven', letters })
      for (const [index, { id }] of orders.entries()) states.set(id, answer[index] ?? 'trying')
    } catch (error) {
      // The partition may be changing hands; its next owner goes on.
      if (!isMillraceError(error, 'OWNER_UNREACHABLE')) throw error
    }
  }
}

function passedOver({ replies }: Waiter): ReadonlyMap<string, string | undefined> {
  return new Map(
    replies.map(({ handler: id, value }) => [id, (value as RequestReply | undefined)?.passedOver]),
  )
}

/** Those that were executed, and are tried again by that. */
function redriven(orders: readonly Order[], waiter: Waiter): readonly Order[] {
  const replied = passedOver(waiter)
  return orders.filter(({ id, asked }) => asked.type === redriveType && replied.get(id) === undefined)
}

function byPartition(orders: readonly Order[]): Iterable<readonly Order[]> {
  const partitions = new Map<string, Order[]>()
  for (const order of orders) {
    const { group, partition } = order.found.at
    const name = `${group}/${partition}`
    partitions.set(name, [...(partitions.get(name) ?? []), order])
  }
  return partitions.values()
}

function sorted(
  orders: readonly Order[],
  waiter: Waiter,
  states: ReadonlyMap<string, RedrivenState>,
): DeadLettersOutcome {
  const replied = passedOver(waiter)
  const closed: string[] = []
  const failed: string[] = []
  const notDone: { readonly id: string; readonly reason: string }[] = []
  const unsettled: string[] = []
  for (const { id, asked, found } of orders) {
    const letter = found.letter.id
    const reason = replied.get(id)
    const state = asked.type === redriveType ? states.get(id) : 'closed'
    if (reason !== undefined) notDone.push({ id: letter, reason })
    else if (!replied.has(id)) unsettled.push(letter)
    else if (state === 'closed') closed.push(letter)
    else if (state === 'failed') failed.push(letter)
    else if (state === 'open')
      notDone.push({ id: letter, reason: 'names an event that is not in the log any more' })
    else unsettled.push(letter)
  }
  return { closed, failed, passedOver: notDone, unsettled }
}
