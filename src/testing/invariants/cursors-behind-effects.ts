import { keyOf } from '../../core/event.ts'
import {
  type CursorSample,
  deliveriesTo,
  deliveryName,
  finishSteps,
  groupBy,
  type Invariant,
  type LoggedRecord,
} from '../history.ts'

/** Whenever a cursor says that a record is done, its effects, its dead letter or its parked key are there already. */
export const cursorsBehindEffects: Invariant = (history) => {
  const breaches: string[] = []
  const finishes = finishSteps(history)
  const samples = groupBy(history.cursors, ({ handler }) => handler)
  for (const subscription of history.subscriptions) {
    if (!subscription.fromStart || subscription.silent) continue
    const places = groupBy(deliveriesTo(history, subscription), placeOf)
    for (const sample of samples.get(subscription.handler) ?? []) {
      for (const record of places.get(placeOf(sample)) ?? []) {
        const finish = finishes.get(deliveryName(subscription.handler, record.event))
        if (!covers(sample, record) || isHeld(sample, record)) continue
        if (finish !== undefined && finish.step <= sample.step) continue
        breaches.push(
          `the cursor of '${subscription.handler}' in ${placeOf(sample)} passed '${record.event.id}' at ${record.offset} before it was done`,
        )
      }
    }
  }
  return [...new Set(breaches)]
}

function covers({ cursor, done }: CursorSample, { offset }: LoggedRecord): boolean {
  return offset < cursor || done.some(([from, to]) => offset >= from && offset < to)
}

function isHeld({ held }: CursorSample, { event, offset }: LoggedRecord): boolean {
  return held.some(({ key, first, last }) => key === keyOf(event) && first <= offset && offset <= last)
}

function placeOf({ topic, partition }: { readonly topic: string; readonly partition: number }): string {
  return `${topic}/${partition}`
}
