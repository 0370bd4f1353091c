import type { Invariant } from '../history.ts'

/** Once faults are over every parked key is drained, except those that wait, visibly, to be redriven. */
export const parkedKeysDrained: Invariant = (history) => {
  const holds = new Set(
    history.subscriptions
      .filter(({ whenExhausted }) => whenExhausted === 'park')
      .map(({ handler }) => handler),
  )
  const breaches: string[] = []
  for (const { handler, topic, key, dueMs } of history.parked) {
    if (dueMs === undefined && holds.has(handler)) continue
    breaches.push(
      dueMs === undefined
        ? `'${handler}' holds key '${key}' of '${topic}', though it goes on after exhausted attempts`
        : `'${handler}' has not drained key '${key}' of '${topic}', due at ${dueMs}`,
    )
  }
  return breaches
}
