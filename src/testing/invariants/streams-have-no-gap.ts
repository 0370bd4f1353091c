import type { ExpectedVersion } from '../../eventstore/append-request.ts'
import { groupBy, type History, type Invariant, type LoggedRecord, type ToldAppend } from '../history.ts'

/**
 * The events of each stream stand in the log in the order of their versions, which are 1, 2, 3 and so on, each event once. An append
 * is there as a whole and behind the version that it expected, so of two that expected the same one is there at most, or not at all: as
 * a whole and at the versions that were told if it was done, not at all if it was refused, which only another version than the expected
 * one is a reason for.
 */
export const streamsHaveNoGap: Invariant = (history) => {
  const breaches: string[] = []
  const streams = new Map<string, Map<string, number>>()
  for (const [stream, events] of eventsOfStreams(history)) {
    const versions = new Map<string, number>()
    for (const [index, { event }] of events.entries()) {
      if (event.streamversion !== index + 1)
        breaches.push(
          `'${event.id}' is event ${index + 1} of ${stream} and has version ${event.streamversion}`,
        )
      if (versions.has(event.id)) breaches.push(`'${event.id}' is in ${stream} more than once`)
      versions.set(event.id, event.streamversion ?? 0)
    }
    streams.set(stream, versions)
  }
  for (const append of history.appends ?? []) {
    const name = nameOf(append.stream, append.id)
    const found = breachesOf(append, streams.get(name) ?? new Map())
    breaches.push(...found.map((breach) => `append '${append.append}' to ${name} ${breach}`))
  }
  return breaches
}

function eventsOfStreams({ log, streams = [] }: History): ReadonlyMap<string, readonly LoggedRecord[]> {
  const streamOf = new Map(streams.flatMap(({ name, types }) => types.map((type) => [type, name])))
  const records = log.filter(({ topic, event }) => {
    // What rules send or move is the event once more.
    const isFirst = event.millraceto === undefined && event.millracemoved !== true
    return !topic.startsWith('millrace.') && streamOf.has(event.type) && isFirst
  })
  return groupBy(records, ({ event }) => nameOf(streamOf.get(event.type), event.partitionkey))
}

function nameOf(stream: string | undefined, id: string | undefined): string {
  return `${stream} '${id}'`
}

/** What is wrong with an append, by the versions of all events of its stream. */
function breachesOf(asked: ToldAppend, versions: ReadonlyMap<string, number>): readonly string[] {
  const { append, count, told, expectedVersion } = asked
  const stored = [...versions].filter(([id]) => id.slice(0, id.lastIndexOf('.')) === append)
  const [first] = stored
  const breaches: string[] = []
  if (first !== undefined) {
    if (stored.length !== count) breaches.push(`has ${count} events, and ${stored.length} are there`)
    if (!fits(expectedVersion, first[1] - 1))
      breaches.push(`expected version ${expectedVersion}, and is there behind ${first[1] - 1}`)
  }
  if (told === 'nothing') return breaches
  if ('conflict' in told) {
    if (first !== undefined) breaches.push('was refused, and is there')
    if (fits(expectedVersion, told.conflict) || told.conflict > versions.size)
      breaches.push(
        `expected version ${expectedVersion} and was refused for ${told.conflict}, of ${versions.size}`,
      )
    return breaches
  }
  for (const [index, event] of told.ids.entries()) {
    const version = told.version - told.ids.length + index + 1
    const found = versions.get(event)
    if (found !== version)
      breaches.push(`was told that '${event}' has version ${version}, and it has ${found ?? 'none'}`)
  }
  return breaches
}

function fits(expected: ExpectedVersion, version: number): boolean {
  if (expected === 'any') return true
  if (expected === 'stream-exists') return version > 0
  return version === (expected === 'no-stream' ? 0 : expected)
}
