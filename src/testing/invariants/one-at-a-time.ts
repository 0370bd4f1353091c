import { keyOf } from '../../core/event.ts'
import { type Attempt, eventName, groupBy, type History, type Invariant } from '../history.ts'
import { witnessTopic } from '../witness.ts'

/** While a process holds a claim, a handler sees the events of a key of a topic one at a time, never going back. */
export const oneAtATime: Invariant = (history) => {
  const positions = positionsOf(history)
  const breaches: string[] = []
  const lines = groupBy(
    history.attempts.filter(({ redriven }) => !redriven),
    (attempt) =>
      [
        attempt.process,
        attempt.claim,
        attempt.handler,
        positions.get(eventName(attempt))?.line ?? attempt.key,
      ].join(' '),
  )
  for (const attempts of lines.values()) {
    let before: Attempt | undefined
    for (const attempt of attempts) {
      if (before !== undefined && (before.endedAt === undefined || before.endedAt > attempt.beganAt)) {
        breaches.push(`${attempt.nonce} on '${attempt.id}' began while ${before.nonce} on '${before.id}' ran`)
      }
      if (before !== undefined && positionOf(before) > positionOf(attempt)) {
        breaches.push(`${attempt.nonce} on '${attempt.id}' began after ${before.nonce} on '${before.id}'`)
      }
      before = attempt
    }
  }
  return breaches

  function positionOf(attempt: Attempt): number {
    return positions.get(eventName(attempt))?.index ?? -1
  }
}

function positionsOf(history: History): ReadonlyMap<string, { index: number; line: string }> {
  const positions = new Map<string, { index: number; line: string }>()
  for (const [index, { topic, event }] of history.log.entries()) {
    const internal = topic.startsWith('millrace.') && !topic.endsWith('.ticks')
    if (internal || topic === witnessTopic || positions.has(eventName(event))) continue
    positions.set(eventName(event), { index, line: `${topic} ${keyOf(event)}` })
  }
  return positions
}
