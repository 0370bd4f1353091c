import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import sales, { CustomsDeclared, OrderPlaced } from './app.ts'

type Course = Pick<SimulateOptions, 'events' | 'twice'>

interface Order {
  readonly customer: string
  readonly order: string
  readonly region: string
  readonly amount: number
}

/** Runs the sales under crashes, failing handlers and repeated publishing, as the seed decides. */
export async function simulateSales(seed: number, course: Course = {}): Promise<SimulationReport> {
  return await simulate(sales, {
    seed,
    ...course,
    steps: 500,
    publish: (random) => ({
      type: OrderPlaced,
      data: {
        customer: random.pick(['ada', 'bob', 'eve']),
        order: `o-${random.between(1, 1_000_000)}`,
        region: random.pick(['eu-de', 'us-ny', 'ch']),
        amount: random.between(1, 3_000),
      },
    }),
    check: checkCustoms,
  })
}

/** An order is declared when, and only when, it leaves the Union and is worth it; once. */
function checkCustoms({ history }: SimulationReport): void {
  const gaveUp = new Set(history.deadLetters.map(({ id }) => id))
  const declared = new Map<string, number>()
  for (const { event } of history.log) {
    if (event.type !== CustomsDeclared.type) continue
    declared.set(event.causationid ?? '', (declared.get(event.causationid ?? '') ?? 0) + 1)
  }
  for (const { event } of history.log) {
    if (event.type !== OrderPlaced.type || gaveUp.has(event.id)) continue
    const { region, amount } = event.data as Order
    const expected = !region.startsWith('eu-') && amount >= 150 ? 1 : 0
    const found = declared.get(event.id) ?? 0
    if (found !== expected) throw new Error(`order '${event.id}' was declared ${found} times`)
  }
}
