import { app, event, http, on, stream } from 'millrace'
import { z } from 'zod'

const amount = z.int().positive()

export const Deposited = event('bank.deposited', { schema: z.object({ amount }) })
export const Withdrawn = event('bank.withdrawn', { schema: z.object({ amount }) })

// Each account has a stream of its own: its id is the key of its events.
export const Account = stream('account', { events: [Deposited, Withdrawn] })

// What an account holds, and as of which version of its stream.
export const balance = on(
  [Deposited, Withdrawn],
  {
    name: 'balance',
    from: 'start',
    state: { held: z.int().default(0), version: z.int().default(0) },
    whenExhausted: 'park', // a balance without one of its events would be wrong
  },
  async ({ type, data, streamversion = 0 }, ctx) => {
    const held = await ctx.state.held.get()
    ctx.state.held.set(type === Deposited.type ? held + data.amount : held - data.amount)
    ctx.state.version.set(streamversion)
  },
)

export default app({
  name: 'bank',
  streams: [Account],
  handlers: [balance],
  routes: [
    http.post('/accounts/:id/deposits', { body: Deposited.schema }, async ({ params, body }, ctx) =>
      Response.json(await ctx.append(Account, params.id, [{ type: Deposited, data: body }])),
    ),
    // What was decided from one version is appended to that version, or answered with 409: read again, and decide anew.
    http.post('/accounts/:id/withdrawals', { body: Withdrawn.schema }, async ({ params, body }, ctx) => {
      const { held, version } = await ctx.read(balance, params.id)
      if (held < body.amount) return Response.json({ refused: 'not covered', held }, { status: 422 })
      const events = [{ type: Withdrawn, data: body }]
      return Response.json(await ctx.append(Account, params.id, events, { expectedVersion: version }))
    }),
  ],
})
