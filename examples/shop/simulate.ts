import { simulate } from 'millrace/testing'
import shop from './app.ts'

const OrderPlaced = shop.events.get('shop.order.placed')

/** Runs the shop under crashes, failing handlers and repeated publishing, once for every seed. */
export async function simulateShop(seeds: number): Promise<void> {
  if (OrderPlaced === undefined) throw new TypeError('the shop has no orders')
  for (let seed = 1; seed <= seeds; seed += 1) {
    await simulate(shop, {
      seed,
      steps: 500,
      publish: (random) => ({
        type: OrderPlaced,
        data: { sku: random.pick(['lamp', 'desk', 'chair']), quantity: random.between(1, 60) },
      }),
    })
  }
}
