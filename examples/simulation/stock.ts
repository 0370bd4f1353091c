import { type AppOptions, app, event, on } from 'millrace'
import { type SimulationReport, simulate } from 'millrace/testing'
import { z } from 'zod'

const OrderPlaced = event('stock.order.placed', {
  schema: z.object({ sku: z.string() }),
  key: (order) => order.sku,
})
const LowStock = event('stock.low', { schema: z.object({ sku: z.string() }), key: (low) => low.sku })

const left = new Map<string, number>()

/** Tells once, at the third order, that there is little left. It counts where it must not. */
export const countingInMemory = on(OrderPlaced, { name: 'watch-stock', from: 'start' }, ({ data }, ctx) => {
  const now = (left.get(data.sku) ?? 5) - 1
  left.set(data.sku, now)
  if (now === 2) ctx.emit(LowStock, data)
})

/** Counts in its state, which commits together with the event's being done, or not at all. */
export const countingInState = on(
  OrderPlaced,
  { name: 'watch-stock', from: 'start', state: { left: z.int().default(5) } },
  async ({ data }, ctx) => {
    const now = (await ctx.state.left.get()) - 1
    ctx.state.left.set(now)
    if (now === 2) ctx.emit(LowStock, data)
  },
)

/** The third order that was handled leads to the only warning. */
function checkWarnings({ history }: SimulationReport): void {
  const gaveUp = new Set(history.deadLetters.map(({ id }) => id))
  const handled = history.log.filter(({ event }) => event.type === OrderPlaced.type && !gaveUp.has(event.id))
  const warnings = history.log.filter(({ event }) => event.type === LowStock.type)
  const expected = handled.length < 3 ? 0 : 1
  if (warnings.length !== expected) {
    throw new Error(`${handled.length} orders led to ${warnings.length} warnings, and should to ${expected}`)
  }
}

/** Orders one product under crashes and failing handlers, as the seed decides. */
export function simulateStock(
  handler: NonNullable<AppOptions['handlers']>[number],
  seed: number,
): Promise<SimulationReport> {
  return simulate(app({ name: 'stock', handlers: [handler], events: [LowStock] }), {
    seed,
    steps: 300,
    events: 10,
    faults: ['crash', 'handler'],
    publish: () => ({ type: OrderPlaced, data: { sku: 'lamp' } }),
    check: checkWarnings,
  })
}
