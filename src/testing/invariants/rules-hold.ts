import { deliveryName, eventName, type Invariant, type LoggedRecord, witnessesOf } from '../history.ts'

/**
 * Every record is decided by the rules that hold at its place: what they hide is handled by nobody, and what they send and move
 * is there once for each decision. What they emit is among the effects that happen once.
 */
export const rulesHold: Invariant = (history) => {
  const { ruled, log } = history
  if (ruled === undefined || ruled.size === 0) return []
  const breaches: string[] = []
  const finished = new Set(
    [...witnessesOf(history, 'done'), ...history.deadLetters].map((finish) =>
      deliveryName(finish.handler, finish),
    ),
  )
  const forwarded = counted(log.flatMap((record) => forwardName(record) ?? []))
  const expected = counted(
    [...ruled].flatMap(([{ topic, event }, { sends, moves }]) => [
      ...sends.map((handler) => `${eventName(event)} in ${topic} for ${handler}`),
      ...moves.map((to) => `${eventName(event)} in ${to} moved`),
    ]),
  )
  for (const name of new Set([...forwarded.keys(), ...expected.keys()])) {
    const [least, count] = [expected.get(name) ?? 0, forwarded.get(name) ?? 0]
    if (least !== count) breaches.push(`${name}: rules say so ${least} times, the log has it ${count} times`)
  }
  for (const [{ event, topic, partition, offset }, { hidden, sends }] of ruled) {
    if (!hidden) continue
    for (const { handler, types } of history.subscriptions) {
      if (!types.includes(event.type) || sends.includes(handler)) continue
      if (finished.has(deliveryName(handler, event)))
        breaches.push(`'${event.id}' at ${topic}/${partition} ${offset} is hidden, and '${handler}' had it`)
    }
  }
  return breaches
}

/** Names what a record was forwarded for; undefined for one that was not. */
function forwardName({ topic, event }: LoggedRecord): string | undefined {
  if (topic.startsWith('millrace.')) return undefined
  if (event.millracemoved === true) return `${eventName(event)} in ${topic} moved`
  return event.millraceto === undefined
    ? undefined
    : `${eventName(event)} in ${topic} for ${event.millraceto}`
}

function counted(names: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}
