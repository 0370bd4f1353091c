import { deliveryName, eventName, type Invariant, witnessesOf } from '../history.ts'

/** A publisher that waits until its event is handled waits for the effects of every handler that matches. */
export const waitingEndsWhenHandled: Invariant = (history) => {
  const events = new Map(history.log.map(({ event }) => [eventName(event), event]))
  const completed = new Map(
    witnessesOf(history, 'done').map((witness) => [deliveryName(witness.handler, witness), witness.index]),
  )
  const breaches: string[] = []
  for (const event of history.acknowledged) {
    const { handledAt } = event
    if (handledAt === undefined) continue
    const found = events.get(eventName(event))
    for (const { handler, types, wants, silent } of history.subscriptions) {
      if (silent || found === undefined || !types.includes(found.type) || wants?.(found) === false) continue
      const index = completed.get(deliveryName(handler, event))
      if (index !== undefined && index < handledAt) continue
      breaches.push(`'${event.id}' was said to be handled before '${handler}' had completed it`)
    }
  }
  return breaches
}
