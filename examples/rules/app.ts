import { app, event, on } from 'millrace'
import { ruleset } from 'millrace/rules'
import { z } from 'zod'

const tiers = z.enum(['none', 'silver', 'gold'])
const key = (data: { customer: string }) => data.customer

export const OrderPlaced = event('sales.order.placed', {
  schema: z.object({
    customer: z.string(),
    order: z.string(),
    region: z.string(),
    amount: z.number().positive(),
  }),
  key,
})
export const TierReached = event('sales.tier.reached', {
  schema: z.object({ customer: z.string(), tier: tiers, why: z.array(z.string()) }),
  key,
})
export const CustomsDeclared = event('sales.customs.declared', {
  schema: z.object({ customer: z.string(), order: z.string() }),
  key,
})
export const ReviewAsked = event('sales.review.asked', {
  schema: z.object({ customer: z.string(), order: z.string(), why: z.string() }),
  key,
})

const loyalty = ruleset('loyalty', {
  facts: { total: z.number().default(0), orders: z.int().default(0), tier: tiers.default('none') },
  rules: [
    { name: 'silver-by-total', when: "total > 1000.0 && tier == 'none'", set: { tier: "'silver'" } },
    { name: 'silver-by-orders', when: "orders >= 5 && tier == 'none'", set: { tier: "'silver'" } },
    { name: 'gold', when: "total > 5000.0 && tier == 'silver'", set: { tier: "'gold'" } },
  ],
})

/** Draws conclusions from what is known of a customer; they commit together with the order. */
export const assess = on(
  OrderPlaced,
  {
    name: 'assess',
    from: 'start',
    state: { total: z.number().default(0), orders: z.int().default(0), tier: tiers.default('none') },
  },
  async ({ data: { customer, amount } }, ctx) => {
    const total = (await ctx.state.total.get()) + amount
    const orders = (await ctx.state.orders.get()) + 1
    ctx.state.total.set(total)
    ctx.state.orders.set(orders)
    const { facts, firings } = await loyalty.apply(ctx, { total, orders })
    const why = firings.map(({ rule }) => rule)
    if (why.length > 0 && facts.tier !== undefined) ctx.emit(TierReached, { customer, tier: facts.tier, why })
  },
)

/** Gets the orders that leave the country, and only those. */
export const declare = on(
  {
    type: OrderPlaced,
    data: { region: [{ 'anything-but': { prefix: 'eu-' } }] },
    when: 'event.data.amount >= 150',
  },
  { name: 'declare', from: 'start' },
  ({ data: { customer, order } }, ctx) => ctx.emit(CustomsDeclared, { customer, order }),
)

export default app({
  name: 'sales',
  handlers: [assess, declare],
  events: [TierReached, CustomsDeclared, ReviewAsked],
  topics: { 'sales.suspicious': {} },
})
