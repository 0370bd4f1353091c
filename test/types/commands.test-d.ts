import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import type { RunningApp } from '../../src/app/running.ts'
import { on } from '../../src/bus/definitions.ts'
import { command, failed } from '../../src/core/command.ts'
import { event } from '../../src/core/event.ts'

const Reserve = command('shop.reserve', {
  schema: z.object({ sku: z.string(), quantity: z.int() }),
  key: (data) => {
    expectTypeOf(data).toEqualTypeOf<{ sku: string; quantity: number }>()
    return data.sku
  },
  result: z.object({ reservation: z.string(), left: z.number().default(0) }),
  failure: z.object({ reason: z.enum(['sold-out', 'unknown']) }),
})
const Count = command('shop.count', { schema: z.object({ sku: z.string() }), result: z.number() })
const Placed = event('shop.placed', { schema: z.object({ sku: z.string() }) })

// @ts-expect-error: a command has a result.
command('a', { schema: z.object({}) })
// @ts-expect-error: a result is a Standard Schema validator.
command('a', { schema: z.object({}), result: 'string' })

on(Reserve, { name: 'reserve' }, async ({ data }) => {
  expectTypeOf(data).toEqualTypeOf<{ sku: string; quantity: number }>()
  if (data.quantity > 5) return failed({ reason: 'sold-out' })
  // What is returned is the input of the schema: a default may be left out.
  return { reservation: 'r-1' }
})
on(Reserve, { name: 'object' }, { handle: () => ({ reservation: 'r-1', left: 1 }) })
on(Reserve, { name: 'module' }, { default: () => failed({ reason: 'unknown' }) })
on(Count, { name: 'count' }, () => 7)
// An event's handler may return anything.
on(Placed, { name: 'placed' }, () => 'done')

// @ts-expect-error: a result with a field of the wrong type.
on(Reserve, { name: 'a' }, () => ({ reservation: 1 }))
// @ts-expect-error: the same, where the command is named in a filter.
on({ type: Reserve }, { name: 'a' }, () => ({ reservation: 1 }))
// @ts-expect-error: a result without a field.
on(Reserve, { name: 'a' }, async () => ({ left: 1 }))
// @ts-expect-error: no result at all.
on(Reserve, { name: 'a' }, () => {})
// @ts-expect-error: a failure of another form.
on(Reserve, { name: 'a' }, () => failed({ reason: 'lost' }))
// @ts-expect-error: a failure of a command that has none.
on(Count, { name: 'a' }, () => failed({ reason: 'unknown' }))
// @ts-expect-error: an object whose result is of the wrong type.
on(Count, { name: 'a' }, { handle: () => 'seven' })

/** What a program does with commands. */
export async function program(running: RunningApp): Promise<void> {
  const reserved = await running.request(Reserve, { sku: 'a', quantity: 1 })
  if (reserved.ok) {
    expectTypeOf(reserved.result).toEqualTypeOf<{ reservation: string; left: number }>()
    // @ts-expect-error: a field that the result does not have.
    reserved.result.reserved
  } else expectTypeOf(reserved.failure).toEqualTypeOf<{ reason: 'sold-out' | 'unknown' }>()

  const counted = await running.request(Count, { sku: 'a' }, { waitTimeoutMs: 100 })
  // Without a failure schema there is only a result.
  expectTypeOf(counted).toEqualTypeOf<{ readonly ok: true; readonly result: number }>()

  // @ts-expect-error: data with a field of the wrong type.
  await running.request(Reserve, { sku: 'a', quantity: 'one' })
  // @ts-expect-error: data without a field.
  await running.submit(Reserve, { sku: 'a' })
  // @ts-expect-error: an event is no command.
  await running.request(Placed, { sku: 'a' })
  // @ts-expect-error: who waits cannot wait for what is delayed.
  await running.request(Count, { sku: 'a' }, { delay: 1_000 })

  const { resultId } = await running.submit(Reserve, { sku: 'a', quantity: 1 })
  const state = await running.result(Reserve, resultId)
  if (!state.pending && state.ok) expectTypeOf(state.result.left).toEqualTypeOf<number>()
  const untyped = await running.result(resultId)
  if (!untyped.pending && untyped.ok) expectTypeOf(untyped.result).toEqualTypeOf<unknown>()
}
