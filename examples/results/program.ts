import { app, command, failed, isMillraceError, on, start } from 'millrace'
import { z } from 'zod'

const Reserve = command('shop.reserve', {
  schema: z.object({ sku: z.string(), quantity: z.int().positive() }),
  key: (data) => data.sku,
  result: z.object({ left: z.int() }),
  failure: z.object({ reason: z.enum(['sold-out']), left: z.int() }),
})

const reserve = on(
  Reserve,
  { name: 'reserve', retry: { attempts: 2, baseMs: 10 }, state: { left: z.int().default(10) } },
  async ({ data: { sku, quantity } }, ctx) => {
    if (sku === 'lamp') throw new Error('the shelf of lamps is locked')
    const left = (await ctx.state.left.get()) - quantity
    if (left < 0) return failed({ reason: 'sold-out', left: left + quantity })
    ctx.state.left.set(left)
    return { left }
  },
)

const running = await start(app({ name: 'shop', handlers: [reserve] }), {
  log: process.env.MILLRACE_LOG ?? 'memory:',
})

// Wait for the answer.
const reserved = await running.request(Reserve, { sku: 'chair', quantity: 8 })
console.log('reserved', reserved)
const refused = await running.request(Reserve, { sku: 'chair', quantity: 8 })
console.log('refused', refused)

// Or take its id, and fetch it later: from here, from another process, or by GET /results/ID.
const { resultId } = await running.submit(Reserve, { sku: 'chair', quantity: 1 }, { id: 'order-7' })
await running.settled()
console.log('fetched', await running.result(Reserve, resultId))

// The same id again is the same command, and has the same answer.
console.log('again', await running.request(Reserve, { sku: 'chair', quantity: 1 }, { id: 'order-7' }))

// A handler that gives up is an error, and its dead letter is open.
const error = await running.request(Reserve, { sku: 'lamp', quantity: 1 }).catch((thrown: unknown) => thrown)
if (isMillraceError(error)) console.log(error.code, error.message)

await running.stop()
