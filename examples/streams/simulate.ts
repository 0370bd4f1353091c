import { type SimulateOptions, type SimulationReport, simulate } from 'millrace/testing'
import bank, { Account, balance, Deposited, Withdrawn } from './app.ts'

type Course = Pick<SimulateOptions, 'engine' | 'events' | 'processes' | 'partitions' | 'twice'>

/** Lets many pay into few accounts and draw from them at once, under all faults but handlers that fail: those hold an account. */
export async function simulateBank(seed: number, course: Course = {}): Promise<SimulationReport> {
  return await simulate(bank, {
    seed,
    ...course,
    steps: 600,
    faults: ['crash', 'stop', 'session', 'storage', 'delay', 'clock'],
    publish: (random) => {
      const data = { amount: random.between(1, 60) }
      const [isDeposit, id] = [random.chance(0.4), random.pick(['ann', 'bob'])]
      return {
        stream: Account,
        id,
        async decide(running) {
          if (isDeposit) return { events: [{ type: Deposited, data }], expectedVersion: 'any' }
          const { held, version } = await running.read(balance, id)
          if (held < data.amount) return undefined
          // Several at once, so that they are all there, or none is.
          const events = [1, data.amount - 1].flatMap((amount) =>
            amount > 0 ? [{ type: Withdrawn, data: { amount } }] : [],
          )
          return { events, expectedVersion: version }
        },
      }
    },
    check: checkBalances,
  })
}

/** However many draw from an account at once, it never holds less than nothing. */
function checkBalances({ history }: SimulationReport): void {
  const accounts = new Map<string, number>()
  for (const { event } of history.log) {
    if (event.type !== Deposited.type && event.type !== Withdrawn.type) continue
    const { amount } = event.data as { amount: number }
    const id = event.partitionkey ?? ''
    const held = (accounts.get(id) ?? 0) + (event.type === Deposited.type ? amount : -amount)
    if (held < 0) throw new Error(`'${id}' holds ${held} at version ${event.streamversion}`)
    accounts.set(id, held)
  }
}
