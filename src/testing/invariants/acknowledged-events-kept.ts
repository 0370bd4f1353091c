import { eventName, type Invariant } from '../history.ts'

/** An acknowledged event is in the log at the place that was given; a delayed one is forwarded, once, when it is due. */
export const acknowledgedEventsKept: Invariant = (history) => {
  const places = new Map(history.log.map((record) => [placeOf(record), eventName(record.event)]))
  const stored = new Map<string, number>()
  for (const { topic, event } of history.log) {
    if (topic.startsWith('millrace.')) continue
    stored.set(eventName(event), (stored.get(eventName(event)) ?? 0) + 1)
  }
  // What rules send or move is the event itself, once more.
  for (const [{ event }, { sends, moves }] of history.ruled ?? []) {
    stored.set(eventName(event), (stored.get(eventName(event)) ?? 0) - sends.length - moves.length)
  }
  const breaches: string[] = []
  for (const event of history.acknowledged) {
    const name = eventName(event)
    if (places.get(placeOf(event)) !== name) {
      breaches.push(`'${event.id}' was acknowledged at ${placeOf(event)} and is not there`)
    }
    const count = stored.get(name) ?? 0
    if (count > 1) breaches.push(`'${event.id}' was published once and is stored ${count} times`)
    if (count === 0 && event.dueMs !== undefined && event.dueMs <= history.endedMs) {
      breaches.push(`'${event.id}' was due at ${event.dueMs} and has not been forwarded`)
    }
  }
  return breaches
}

function placeOf(at: { topic: string; partition: number; offset: number }): string {
  return `${at.topic}/${at.partition} ${at.offset}`
}
