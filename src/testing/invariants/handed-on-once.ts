import {
  deliveriesTo,
  eventName,
  groupBy,
  type History,
  type Invariant,
  type LoggedRecord,
  recordsOf,
  type Subscription,
} from '../history.ts'

/**
 * What a handler with a key of its own takes is handed on to it, each record once, by that key, and before the cursor
 * passes it; what comes from one partition with one key is handed on in the order of the log.
 */
export const handedOnOnce: Invariant = (history) => {
  const breaches: string[] = []
  for (const subscription of history.subscriptions) {
    if (subscription.keyOf === undefined || !subscription.fromStart) continue
    const taken = recordsOf(history, subscription)
    const handedOn = groupBy(deliveriesTo(history, subscription), ({ event }) => eventName(event))
    breaches.push(...wrongCounts(subscription, taken, handedOn))
    breaches.push(...wrongKeys(subscription, handedOn))
    breaches.push(...inversions(subscription, taken, handedOn))
    breaches.push(...cursorsAhead(history, subscription, taken, handedOn))
  }
  return breaches
}

type HandedOn = ReadonlyMap<string, readonly LoggedRecord[]>

function wrongCounts(
  { handler }: Subscription,
  taken: readonly LoggedRecord[],
  handedOn: HandedOn,
): string[] {
  const expected = groupBy(taken, ({ event }) => eventName(event))
  return [...new Set([...expected.keys(), ...handedOn.keys()])].flatMap((name) => {
    const [there, here] = [expected.get(name)?.length ?? 0, handedOn.get(name)?.length ?? 0]
    return there === here
      ? []
      : [`'${name}' is in the log ${there} times, and handed on to '${handler}' ${here} times`]
  })
}

function wrongKeys({ handler, keyOf }: Subscription, handedOn: HandedOn): string[] {
  return [...handedOn.values()].flat().flatMap(({ event }) => {
    const key = keyOf?.(event.data)
    return key === event.millracekey
      ? []
      : [`'${event.id}' was handed on to '${handler}' by key '${event.millracekey}', not '${key}'`]
  })
}

function inversions({ handler }: Subscription, taken: readonly LoggedRecord[], handedOn: HandedOn): string[] {
  const found: string[] = []
  const first = (record: LoggedRecord) => handedOn.get(eventName(record.event))?.[0]
  const ways = groupBy(taken, (record) => {
    return `${record.topic}/${record.partition} to '${first(record)?.event.millracekey}'`
  })
  for (const [way, records] of ways) {
    const offsets = records.map((record) => first(record)?.offset).filter((offset) => offset !== undefined)
    const isInverted = offsets.some((offset, index) => index > 0 && offset < (offsets[index - 1] ?? 0))
    // Without a key they go on by that of their topic, which is another for each of them.
    if (isInverted && !way.endsWith("to 'undefined'"))
      found.push(`what was handed on to '${handler}' from ${way} is out of order: ${offsets.join(', ')}`)
  }
  return found
}

function cursorsAhead(
  history: History,
  { handler }: Subscription,
  taken: readonly LoggedRecord[],
  handedOn: HandedOn,
): string[] {
  const samples = groupBy(
    history.cursors.filter((sample) => sample.handler === handler),
    ({ topic, partition }) => `${topic}/${partition}`,
  )
  return taken.flatMap((record) => {
    const step = handedOn.get(eventName(record.event))?.[0]?.step ?? Number.POSITIVE_INFINITY
    const place = `${record.topic}/${record.partition}`
    const ahead = samples.get(place)?.find((sample) => sample.cursor > record.offset && sample.step < step)
    return ahead === undefined
      ? []
      : [`the cursor of '${handler}' in ${place} passed '${record.event.id}' before it was handed on`]
  })
}
