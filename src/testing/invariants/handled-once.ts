import { deliveryName, type Invariant, redrivenDeliveries, witnessesOf } from '../history.ts'

/** No handler completes an event twice, gives it up twice, or does both, unless it was handed back. */
export const handledOnce: Invariant = (history) => {
  const redriven = redrivenDeliveries(history)
  const finished = new Map<string, string>()
  const breaches: string[] = []
  const finish = (name: string, how: string) => {
    const before = finished.get(name)
    finished.set(name, how)
    if (before !== undefined && !redriven.has(name)) breaches.push(`${name}: ${before}, and then ${how}`)
  }
  for (const { handler, source, id, nonce } of witnessesOf(history, 'done')) {
    finish(deliveryName(handler, { source, id }), `completed by ${nonce}`)
  }
  for (const { handler, source, id } of history.deadLetters) {
    finish(deliveryName(handler, { source, id }), 'dead-lettered')
  }
  return breaches
}
