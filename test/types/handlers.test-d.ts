import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { every, on, type Tick } from '../../src/bus/definitions.ts'
import { type Event, event } from '../../src/core/event.ts'

const Placed = event('order.placed', {
  schema: z.object({ orderId: z.string(), quantity: z.coerce.number().default(1) }),
  key: (data) => {
    expectTypeOf(data).toEqualTypeOf<{ orderId: string; quantity: number }>()
    return data.orderId
  },
})
const Cancelled = event('order.cancelled', { schema: z.object({ reason: z.string() }) })

expectTypeOf(Placed.type).toEqualTypeOf<'order.placed'>()

// @ts-expect-error: a key is a string.
event('a', { schema: z.object({ n: z.number() }), key: (data) => data.n })
// @ts-expect-error: a key reads what the schema gives.
event('a', { schema: z.object({ n: z.number() }), key: (data) => data.missing })
// @ts-expect-error: an event type has a schema.
event('a', {})

const cancelling = on(Cancelled, { name: 'cancelling' }, () => {})

const counted = on(
  Placed,
  { name: 'counted', from: 'start', state: { left: z.int().default(100), label: z.string() } },
  async (placed, ctx) => {
    expectTypeOf(placed).toEqualTypeOf<Event<{ orderId: string; quantity: number }, 'order.placed'>>()
    expectTypeOf(await ctx.state.left.get()).toEqualTypeOf<number>()
    expectTypeOf(await ctx.state.label.get()).toEqualTypeOf<string | undefined>()
    ctx.state.left.set(1)
    // @ts-expect-error: state has the type of its schema.
    ctx.state.left.set('one')
    // @ts-expect-error: only declared state can be used.
    ctx.state.right

    ctx.emit(Cancelled, { reason: 'sold out' })
    ctx.emit(Cancelled, { reason: 'sold out' }, { delay: 1_000 })
    // What goes in is the input of the schema: a default may be left out.
    ctx.emit(Placed, { orderId: '1' })
    // @ts-expect-error: a field of the wrong name.
    ctx.emit(Cancelled, { reasons: 'sold out' })
    // @ts-expect-error: a field of the wrong type.
    ctx.emit(Cancelled, { reason: 1 })
    // @ts-expect-error: a missing field.
    ctx.emit(Cancelled, {})
    // @ts-expect-error: data of something that is no event type.
    ctx.emit('order.cancelled', { reason: 'sold out' })

    ctx.send(cancelling, Cancelled, { reason: 'sold out' }, { delay: 1_000 })
    ctx.send('cancelling', Cancelled, { reason: 'sold out' })
    // @ts-expect-error: a handler is sent what it handles.
    ctx.send(cancelling, Placed, { orderId: '1' })
    // @ts-expect-error: data of the type that is sent.
    ctx.send(cancelling, Cancelled, { reasons: 'sold out' })

    const label = await ctx.once('label', async (idempotencyKey, signal) => {
      expectTypeOf(idempotencyKey).toEqualTypeOf<string>()
      expectTypeOf(signal).toEqualTypeOf<AbortSignal>()
      return { url: 'https://example.com' }
    })
    expectTypeOf(label).toEqualTypeOf<{ url: string }>()
    // @ts-expect-error: what is given while silent has the type of the result.
    await ctx.once('label', () => 1, { whenSilent: 'none' })

    // @ts-expect-error: publishing in a handler would double on retry; it emits.
    ctx.publish
    // @ts-expect-error: an event is shared by all handlers.
    placed.data = { orderId: '2', quantity: 1 }
  },
)

const both = on([Placed, Cancelled], { name: 'both' }, (incoming) => {
  if (incoming.type === 'order.placed') expectTypeOf(incoming.data.orderId).toEqualTypeOf<string>()
  else expectTypeOf(incoming.data).toEqualTypeOf<{ reason: string }>()
})

on(Placed, { name: 'object' }, { handle: ({ data }) => expectTypeOf(data.quantity).toEqualTypeOf<number>() })
on(Placed, { name: 'module' }, { default: ({ data }) => expectTypeOf(data.quantity).toEqualTypeOf<number>() })

on(
  Placed,
  {
    name: 'per-order',
    key: (data) => {
      expectTypeOf(data).toEqualTypeOf<{ orderId: string; quantity: number }>()
      return data.orderId
    },
    state: { left: z.int().default(100) },
  },
  async (placed, ctx) => {
    expectTypeOf(placed.data.quantity).toEqualTypeOf<number>()
    expectTypeOf(await ctx.state.left.get()).toEqualTypeOf<number>()
  },
)
on(
  [Placed, Cancelled],
  { name: 'either', key: (data) => ('reason' in data ? data.reason : data.orderId) },
  () => {},
)
// @ts-expect-error: the key of a handler reads what the schema gives.
on(Placed, { name: 'a', key: (data) => data.missing }, () => {})
// @ts-expect-error: the key of a handler is a string.
on(Placed, { name: 'a', key: (data) => data.quantity }, () => {})

// @ts-expect-error: a handler has a name.
on(Placed, {}, () => {})
// @ts-expect-error: a beginning is 'start', 'now' or a date.
on(Placed, { name: 'a', from: 'beginning' }, () => {})
// @ts-expect-error: an object without handle is no handler.
on(Placed, { name: 'a' }, {})
// @ts-expect-error: a handler of another event type.
on(Placed, { name: 'a' }, (incoming: Event<{ reason: string }, 'order.cancelled'>) => incoming.data.reason)

const nightly = every(
  '0 3 * * *',
  { name: 'nightly', state: { runs: z.int().default(0) } },
  async (tick, ctx) => {
    expectTypeOf(tick.data).toEqualTypeOf<Tick>()
    expectTypeOf(await ctx.state.runs.get()).toEqualTypeOf<number>()
  },
)
// @ts-expect-error: a schedule always begins at its start.
every('0 3 * * *', { name: 'nightly', from: 'now' }, () => {})

app({ name: 'shop', handlers: [counted, nightly], events: [Cancelled] })
// @ts-expect-error: an application has a name.
app({ handlers: [counted] })

/** What a program does with a running application. */
export async function program(running: RunningApp): Promise<void> {
  await running.publish(Placed, { orderId: '1' }, { id: 'order-1', delay: 5 })
  // @ts-expect-error: a field of the wrong type.
  await running.publish(Placed, { orderId: 1 })
  await running.send(counted, Placed, { orderId: '1' }, { wait: 'handled' })
  await running.send(both, Cancelled, { reason: 'sold out' })
  await running.send('counted', Cancelled, { reason: 'sold out' })
  // @ts-expect-error: a handler is sent what it handles.
  await running.send(counted, Cancelled, { reason: 'sold out' })
  // @ts-expect-error: a field of the wrong type.
  await running.send(counted, Placed, { orderId: 1 })
  // @ts-expect-error: a handler takes events from the topic of their type.
  await running.send(counted, Placed, { orderId: '1' }, { topic: 'other' })
  // @ts-expect-error: a schedule takes nothing.
  await running.send(nightly, Placed, { orderId: '1' })
  using watch = running.watch([Placed, Cancelled], (seen, at) => {
    expectTypeOf(at.offset).toEqualTypeOf<number>()
    if (seen.type === 'order.cancelled') expectTypeOf(seen.data.reason).toEqualTypeOf<string>()
  })
  expectTypeOf(watch.counts.dropped).toEqualTypeOf<number>()
  running.watch(Placed, ({ data }) => expectTypeOf(data.quantity).toEqualTypeOf<number>(), { maxWaiting: 10 })
  // @ts-expect-error: an observer of another event type.
  running.watch(Cancelled, ({ data }) => data.orderId)
  const state = await running.read(counted, 'sku')
  expectTypeOf(state).toEqualTypeOf<{ readonly left: number; readonly label: string | undefined }>()
}
