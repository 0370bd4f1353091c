import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import { app } from '../../src/app/app.ts'
import { http } from '../../src/app/http.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { event } from '../../src/core/event.ts'
import { stream } from '../../src/eventstore/stream.ts'
import type { AppendResult } from '../../src/eventstore/streams.ts'

const Placed = event('shop.placed', { schema: z.object({ sku: z.string(), quantity: z.int().default(1) }) })
const Cancelled = event('shop.cancelled', { schema: z.object({ reason: z.string() }) })
const Joined = event('shop.joined', { schema: z.object({ reason: z.string() }) })
const Order = stream('order', { events: [Placed, Cancelled] })
const Customer = stream('customer', { events: [Joined] })

app({ name: 'shop', streams: [Order, Customer] })
// @ts-expect-error: a stream is made by stream().
app({ name: 'shop', streams: [{ name: 'order' }] })
// @ts-expect-error: a stream has events.
stream('order', {})

declare const running: RunningApp

export async function appends(): Promise<void> {
  const result = await running.append(
    Order,
    'o-1',
    [
      // What is given is the input of the schema: a default may be left out.
      { type: Placed, data: { sku: 'chair' } },
      { type: Cancelled, data: { reason: 'late' }, subject: 'o-1' },
    ],
    { expectedVersion: 0, id: 'a' },
  )
  expectTypeOf(result).toEqualTypeOf<AppendResult>()
  expectTypeOf(await running.streamVersion(Order, 'o-1')).toEqualTypeOf<number>()
  await running.append(Order, 'o-1', [{ type: Cancelled, data: { reason: 'late' } }], {
    expectedVersion: 'stream-exists',
  })
  // @ts-expect-error: an event of another stream, whatever its data.
  await running.append(Order, 'o-1', [{ type: Joined, data: { reason: 'late' } }])
  // @ts-expect-error: the data of another event of the stream.
  await running.append(Order, 'o-1', [{ type: Placed, data: { reason: 'late' } }])
  // @ts-expect-error: no data.
  await running.append(Order, 'o-1', [{ type: Placed }])
  // @ts-expect-error: an expectation that there is not.
  await running.append(Order, 'o-1', [], { expectedVersion: 'none' })
  // @ts-expect-error: an append is not delayed.
  await running.append(Order, 'o-1', [], { delay: 1 })
}

http.post('/orders/:id', {}, async ({ params }, ctx) => {
  const placed = { type: Placed, data: { sku: 'chair' } }
  expectTypeOf(await ctx.append(Order, params.id, [placed])).toEqualTypeOf<AppendResult>()
  expectTypeOf(await ctx.streamVersion(Order, params.id)).toEqualTypeOf<number>()
  return new Response()
})
