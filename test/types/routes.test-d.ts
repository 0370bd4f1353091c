import { expectTypeOf } from 'vitest'
import { z } from 'zod'
import { http } from '../../src/app/http.ts'
import { on } from '../../src/bus/definitions.ts'
import { event } from '../../src/core/event.ts'

const Placed = event('order.placed', { schema: z.object({ orderId: z.string() }) })
const counted = on(Placed, { name: 'counted', state: { count: z.int().default(0) } }, () => {})

http.get('/airports/:code/gates/:gate', {}, async (request, ctx) => {
  expectTypeOf(request.params).toEqualTypeOf<{ readonly code: string; readonly gate: string }>()
  expectTypeOf(request.body).toEqualTypeOf<undefined>()
  // @ts-expect-error: a parameter that the path does not have.
  request.params.airport
  const { count } = await ctx.read(counted, request.params.code)
  expectTypeOf(count).toEqualTypeOf<number>()
  return Response.json({ count })
})

http.post(
  '/orders',
  { body: z.object({ orderId: z.string(), quantity: z.int().default(1) }) },
  async (request, ctx) => {
    expectTypeOf(request.body).toEqualTypeOf<{ orderId: string; quantity: number }>()
    await ctx.publish(Placed, { orderId: request.body.orderId })
    // @ts-expect-error: a field of the wrong name.
    await ctx.publish(Placed, { order: request.body.orderId })
    await ctx.send(counted, Placed, { orderId: request.body.orderId }, { wait: 'handled' })
    // @ts-expect-error: a field of the wrong name.
    await ctx.send(counted, Placed, { order: request.body.orderId })
    // @ts-expect-error: a path without parameters has none.
    request.params.code
    return new Response(null, { status: 202 })
  },
)

// @ts-expect-error: a route answers with a Response.
http.get('/orders', {}, () => ({ status: 200 }))
// @ts-expect-error: a body is a Standard Schema validator.
http.post('/orders', { body: { orderId: 'string' } }, () => new Response())
