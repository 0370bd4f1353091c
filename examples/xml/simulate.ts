import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import edi from './app.ts'

type Course = Pick<SimulateOptions, 'events' | 'twice'>

const OrderReceived = edi.events.get('edi.order.received')

/** Receives orders under crashes, failing handlers and repeated publishing, as the seed decides. */
export async function simulateOrders(seed: number, course: Course = {}): Promise<SimulationReport> {
  if (OrderReceived === undefined) throw new TypeError('there are no orders')
  return await simulate(edi, {
    seed,
    ...course,
    steps: 500,
    publish: (random) => {
      const items = Array.from(
        { length: random.between(1, 4) },
        (_, index) => `<item sku="s${index}">1</item>`,
      )
      return { type: OrderReceived, data: `<order id="${random.below(5)}">${items.join('')}</order>` }
    },
    check: checkItems,
  })
}

/** An order leads to all of its items, or to none of them when it was given up. */
function checkItems({ history }: SimulationReport): void {
  const gaveUp = new Set(history.deadLetters.map(({ id }) => id))
  for (const { event } of history.log) {
    if (event.type !== 'edi.order.received' || gaveUp.has(event.id)) continue
    const expected = String(event.data).split('<item').length - 1
    const found = history.log.filter((other) => other.event.causationid === event.id)
    const items = found.filter((other) => other.event.type === 'edi.item.ordered').length
    if (items !== expected) throw new Error(`'${event.id}' led to ${items} items, and has ${expected}`)
  }
}
