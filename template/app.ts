import { app, event, http, on } from 'millrace'
import { z } from 'zod'

/** Somebody has voted. Votes of one choice are counted one at a time and in order. */
export const VoteCast = event('poll.vote.cast', {
  schema: z.object({ choice: z.string().min(1) }),
  key: (vote) => vote.choice,
})

/** A choice has reached ten votes. */
export const ChoicePopular = event('poll.choice.popular', {
  schema: z.object({ choice: z.string(), votes: z.int() }),
  key: (choice) => choice.choice,
})

export const countVotes = on(
  VoteCast,
  { name: 'count-votes', from: 'start', state: { votes: z.int().default(0) } },
  async ({ data }, ctx) => {
    const votes = (await ctx.state.votes.get()) + 1
    ctx.state.votes.set(votes)
    if (votes === 10) ctx.emit(ChoicePopular, { choice: data.choice, votes })
  },
)

export default app({
  name: 'poll',
  handlers: [countVotes],
  routes: [
    http.post('/votes', { body: VoteCast.schema }, async ({ body }, ctx) =>
      Response.json(await ctx.publish(VoteCast, body), { status: 202 }),
    ),
    http.get('/votes/:choice', {}, async ({ params }, ctx) =>
      Response.json(await ctx.read(countVotes, params.choice)),
    ),
  ],
})
