import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import shop from './app.ts'

type Course = Pick<SimulateOptions, 'events' | 'twice'>

const OrderPlaced = shop.events.get('shop.order.placed')

/** Runs the shop under crashes, failing handlers and repeated publishing, as the seed decides. */
export async function simulateShop(seed: number, course: Course = {}): Promise<SimulationReport> {
  if (OrderPlaced === undefined) throw new TypeError('the shop has no orders')
  return await simulate(shop, {
    seed,
    ...course,
    steps: 500,
    faults: ['crash', 'stop', 'session', 'storage', 'delay', 'handler', 'clock'],
    publish: (random) => ({
      type: OrderPlaced,
      data: { sku: random.pick(['lamp', 'desk', 'chair']), quantity: random.between(1, 60) },
    }),
    check: checkStock,
  })
}

/** Orders are refused when, and only when, those before them have left too little. */
function checkStock({ history }: SimulationReport): void {
  const gaveUp = new Set(history.deadLetters.map(({ id }) => id))
  const refused = new Set(
    history.log.map(({ event }) => event.type === 'shop.stock.refused' && event.causationid),
  )
  const left = new Map<string, number>()
  for (const { event } of history.log) {
    if (event.type !== 'shop.order.placed' || gaveUp.has(event.id)) continue
    const { sku, quantity } = event.data as { sku: string; quantity: number }
    const before = left.get(sku) ?? 100
    const isRefused = refused.has(event.id)
    if (isRefused !== before < quantity) throw new Error(`${before} of ${sku} were left for '${event.id}'`)
    if (!isRefused) left.set(sku, before - quantity)
  }
}
