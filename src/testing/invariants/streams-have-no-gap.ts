import { groupBy, type Invariant, type LoggedRecord } from '../history.ts'

/**
 * The events of each stream stand in the log in the order of their versions, which are 1, 2, 3 and so on. Of an append that was
 * done, every event is there at the version that was told, once; of one that was refused none is.
 */
export const streamsHaveNoGap: Invariant = (history) => {
  const breaches: string[] = []
  const versions = new Map<string, number>()
  const streamOf = new Map(history.streams?.flatMap(({ name, types }) => types.map((type) => [type, name])))
  const records = history.log.filter(({ topic, event }) => {
    // What rules send or move is the event once more.
    const isFirst = event.millraceto === undefined && event.millracemoved !== true
    return !topic.startsWith('millrace.') && streamOf.has(event.type) && isFirst
  })
  const nameOf = ({ event }: LoggedRecord) => `${streamOf.get(event.type)} '${event.partitionkey}'`
  for (const [stream, events] of groupBy(records, nameOf)) {
    for (const [index, { event }] of events.entries()) {
      if (event.streamversion !== index + 1)
        breaches.push(
          `'${event.id}' is event ${index + 1} of ${stream} and has version ${event.streamversion}`,
        )
      versions.set(`${stream} ${event.id}`, event.streamversion ?? 0)
    }
  }
  for (const { stream, id, append, told } of history.appends ?? []) {
    const name = `${stream} '${id}'`
    if (told === 'refused') {
      const found = [...versions.keys()].filter((event) => event.startsWith(`${name} ${append}.`))
      for (const event of found) breaches.push(`append '${append}' was refused, and ${event} is in the log`)
      continue
    }
    for (const [index, event] of told.ids.entries()) {
      const version = told.version - told.ids.length + index + 1
      const found = versions.get(`${name} ${event}`)
      if (found !== version)
        breaches.push(`'${event}' of ${name} was told to have version ${version}, and has ${found ?? 'none'}`)
    }
  }
  return breaches
}
