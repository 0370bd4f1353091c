import { keyOf } from '../../core/event.ts'
import {
  deliveriesTo,
  deliveryName,
  type Finish,
  finishSteps,
  finishStepsOfHeld,
  groupBy,
  type Invariant,
  type LoggedRecord,
  type Subscription,
} from '../history.ts'

/**
 * For every handler and key of a topic, events are finished in the order of the log, without inversion and without gap:
 * what is finished, by completion or dead letter, is at every moment the first part of what there is. A handler that
 * holds a key after exhausted attempts goes on only by completion, or once the dead letter is given up.
 */
export const keyOrder: Invariant = (history) => {
  const breaches: string[] = []
  const finishedOfHeld = finishStepsOfHeld(history)
  const finished = finishSteps(history)
  for (const subscription of history.subscriptions) {
    if (!subscription.fromStart || subscription.silent) continue
    const finishes = subscription.whenExhausted === 'park' ? finishedOfHeld : finished
    const deliveries = deliveriesTo(history, subscription)
    for (const [key, records] of groupBy(deliveries, ({ topic, event }) => `${topic} '${keyOf(event)}'`)) {
      const breach = firstBreach(subscription, records, finishes)
      if (breach !== undefined) breaches.push(`'${subscription.handler}', key ${key}: ${breach}`)
    }
  }
  return breaches
}

function firstBreach(
  subscription: Subscription,
  records: readonly LoggedRecord[],
  finishes: ReadonlyMap<string, Finish>,
): string | undefined {
  let before: { readonly id: string; readonly finish: Finish | undefined } | undefined
  for (const { event } of records) {
    const finish = finishes.get(deliveryName(subscription.handler, event))
    if (finish !== undefined && before !== undefined) {
      if (before.finish === undefined) return `'${event.id}' was finished, '${before.id}' before it never was`
      if (isInverted(before.finish, finish)) return `'${event.id}' was finished before '${before.id}'`
    }
    before = { id: event.id, finish }
  }
  return undefined
}

function isInverted(first: Finish, second: Finish): boolean {
  if (first.index !== undefined && second.index !== undefined) return second.index < first.index
  return second.step < first.step
}
