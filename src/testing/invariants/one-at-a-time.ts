import {
  type Attempt,
  deliveryName,
  eventName,
  groupBy,
  type History,
  type Invariant,
  redrivenDeliveries,
} from '../history.ts'
import { witnessTopic } from '../witness.ts'

/**
 * While a process holds a claim, a handler sees the events of a key one at a time, and those of one topic never going
 * back, except to what was handed back.
 */
export const oneAtATime: Invariant = (history) => {
  const keys = groupBy(history.attempts, ({ process, claim, handler, key }) =>
    [process, claim, handler, key].join(' '),
  )
  const stepBack = findStepsBack(history)
  return [...keys.values()].flatMap((attempts) => [...overlaps(attempts), ...stepBack(attempts)])
}

function overlaps(attempts: readonly Attempt[]): readonly string[] {
  const breaches: string[] = []
  for (const [index, attempt] of attempts.entries()) {
    const before = attempts[index - 1]
    if (before === undefined || (before.endedAt !== undefined && before.endedAt < attempt.beganAt)) continue
    breaches.push(`${attempt.nonce} on '${attempt.id}' began while ${before.nonce} on '${before.id}' ran`)
  }
  return breaches
}

function findStepsBack(history: History): (attempts: readonly Attempt[]) => readonly string[] {
  const positions = positionsOf(history)
  const redriven = redrivenDeliveries(history)
  return (attempts) => stepsBack(attempts, positions, redriven)
}

function stepsBack(
  attempts: readonly Attempt[],
  positions: ReturnType<typeof positionsOf>,
  redriven: ReadonlySet<string>,
): readonly string[] {
  const breaches: string[] = []
  const furthest = new Map<string, { index: number; attempt: Attempt }>()
  for (const attempt of attempts) {
    const position =
      positions.get(deliveryName(attempt.handler, attempt)) ?? positions.get(eventName(attempt))
    if (position === undefined || redriven.has(deliveryName(attempt.handler, attempt))) continue
    const before = furthest.get(position.topic)
    if (before === undefined || before.index <= position.index) {
      furthest.set(position.topic, { index: position.index, attempt })
    } else {
      const { nonce, id } = before.attempt
      breaches.push(`${attempt.nonce} on '${attempt.id}' began after ${nonce} on '${id}'`)
    }
  }
  return breaches
}

/** By the name of the event; for a handler that it was handed on to by another key, by the delivery. */
function positionsOf(history: History): ReadonlyMap<string, { index: number; topic: string }> {
  const positions = new Map<string, { index: number; topic: string }>()
  for (const [index, { topic, event }] of history.log.entries()) {
    const handedOn = event.millracekey === undefined ? undefined : event.millraceto
    if (handedOn !== undefined) positions.set(deliveryName(handedOn, event), { index, topic })
    const internal = topic.startsWith('millrace.') && !topic.endsWith('.ticks')
    if (internal || topic === witnessTopic || positions.has(eventName(event))) continue
    positions.set(eventName(event), { index, topic })
  }
  return positions
}
