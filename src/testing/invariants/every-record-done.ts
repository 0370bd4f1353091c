import { keyOf } from '../../core/event.ts'
import {
  deliveriesTo,
  deliveryName,
  type History,
  type Invariant,
  type LoggedRecord,
  witnessesOf,
} from '../history.ts'

/**
 * Every record is handled to completion, dead-lettered or visibly parked, by every handler that it matches. What catches up
 * silently leaves no effect to show for it, so there an attempt that returned counts.
 */
export const everyRecordDone: Invariant = (history) => {
  const done = new Set(
    [...witnessesOf(history, 'done'), ...history.deadLetters].map((finish) =>
      deliveryName(finish.handler, finish),
    ),
  )
  for (const attempt of history.attempts) {
    if (attempt.silent && attempt.outcome === 'returned') done.add(deliveryName(attempt.handler, attempt))
  }
  const breaches: string[] = []
  for (const subscription of history.subscriptions) {
    if (!subscription.fromStart) continue
    for (const record of deliveriesTo(history, subscription)) {
      if (done.has(deliveryName(subscription.handler, record.event))) continue
      if (isParked(history, subscription.handler, record)) continue
      breaches.push(
        `'${record.event.id}' at ${record.topic}/${record.partition} ${record.offset} was never done by '${subscription.handler}'`,
      )
    }
  }
  return breaches
}

/** Whether a record is held by a key that is parked at the end. */
export function isParked(history: History, handler: string, record: LoggedRecord): boolean {
  return history.parked.some(
    (parked) =>
      parked.handler === handler &&
      parked.topic === record.topic &&
      parked.key === keyOf(record.event) &&
      parked.first <= record.offset &&
      record.offset <= parked.last,
  )
}
