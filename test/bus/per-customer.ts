import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { type HandlerContext, type OnOptions, on } from '../../src/bus/definitions.ts'
import { type Event, event } from '../../src/core/event.ts'
import { shop } from './support.ts'

const order = z.object({ orderId: z.string(), customer: z.string(), n: z.number() })
/** The data of {@link Placed}. */
export type Order = z.infer<typeof order>
/** What is kept by the order in its topic, and by the customer for {@link perCustomer}. */
export const Placed = event('test.placed', { schema: order, key: ({ orderId }) => orderId })
/** Where it is handed on. */
export const rekeyed = `millrace.${shop}.rekeyed`
/** Enough for records to be handed on to other partitions. */
export const partitions = 4
/** What {@link adding} adds to. */
export const state = { sum: z.int().default(0) }
type Run = (event: Event<Order>, ctx: HandlerContext<typeof state>) => unknown

/** A handler whose order and state are kept by the customer. */
export function perCustomer(run: Run, options: Partial<OnOptions<typeof state, Order>> = {}) {
  const key = ({ customer }: Order) => customer
  return on(
    Placed,
    { name: 'handler', from: 'start', key, state, retry: { attempts: 2, baseMs: 10 }, ...options },
    run,
  )
}

/** Publishes the n-th order, of a customer. */
export function place(running: RunningApp, n: number, customer: string, orderId = `o${n}`) {
  return running.publish(Placed, { orderId, customer, n })
}

/** What most handlers do: add up. */
export async function adding({ data }: Event<Order>, ctx: HandlerContext<typeof state>): Promise<void> {
  ctx.state.sum.set((await ctx.state.sum.get()) + data.n)
}
