import { type SimulationReport, simulate } from 'millrace/testing'
import shop from './app.ts'

const OrderPlaced = shop.events.get('shop.order.placed')

/** Runs the shop under crashes, failing handlers and repeated publishing, as the seed decides. */
export async function simulateShop(seed: number): Promise<SimulationReport> {
  if (OrderPlaced === undefined) throw new TypeError('the shop has no orders')
  return await simulate(shop, {
    seed,
    steps: 500,
    publish: (random) => ({
      type: OrderPlaced,
      data: { sku: random.pick(['lamp', 'desk', 'chair']), quantity: random.between(1, 60) },
    }),
  })
}
