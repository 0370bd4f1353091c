import { deliveryName, type Invariant, redrivenDeliveries } from '../history.ts'

/** What `once` gave to one attempt on an event, it gives to every later one. */
export const onceStable: Invariant = (history) => {
  const breaches: string[] = []
  const redriven = redrivenDeliveries(history)
  const known = new Map<string, string>()
  for (const attempt of history.attempts) {
    if (attempt.silent || redriven.has(deliveryName(attempt.handler, attempt))) continue
    for (const { name, run } of attempt.once) {
      const where = `once '${name}' in ${deliveryName(attempt.handler, attempt)}`
      const before = known.get(where)
      if (before !== undefined && before !== run) {
        breaches.push(`${where} gave the result of ${before}, and later that of ${run}`)
      }
      known.set(where, before ?? run)
    }
  }
  return breaches
}
