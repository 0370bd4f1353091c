import { type Event, keyOf } from '../core/event.ts'
import type { Offset } from '../log/port.ts'
import { frontOf } from './parked-entry.ts'
import type { ParkedKey } from './parked-keys.ts'
import type { LogRecord } from './record-cache.ts'
import { storedEventOf } from './upcast.ts'

/** Reads records of a topic from one offset up to another one, or the first of them. */
export type ReadForDrain = (
  topic: string,
  range: { readonly from: Offset; readonly last: Offset },
) => Promise<{ readonly records: readonly LogRecord[]; readonly next: Offset }>

/** What is kept of the records of one key that are met while looking for the next one. */
const maxAhead = { records: 64, bytes: 64 * 1024 } as const

/**
 * The next record of a parked key: the first one handed back, else the first from where it stands, found by reading again
 * and filtering by key. Undefined when the log holds none up to the last that waits.
 */
export async function nextOf(
  parked: ParkedKey,
  read: ReadForDrain,
  wants: (record: LogRecord, event: Event) => boolean,
): Promise<LogRecord | undefined> {
  const { entry } = parked
  const from = frontOf(entry)
  const last = entry.redrive === undefined ? entry.last : from
  parked.ahead = parked.ahead.filter(({ offset }) => offset >= from)
  for (let next = from; parked.ahead.length === 0 && next <= last; ) {
    const batch = await read(parked.topic, { from: next, last })
    if (batch.records.length === 0) return undefined
    parked.ahead = bounded(batch.records.filter((record) => isOf(record, parked.key, wants)))
    next = batch.next
  }
  const [found] = parked.ahead
  return found !== undefined && found.offset <= last ? found : undefined
}

/** The first records up to the bound; at least one when there is one. */
function bounded(records: readonly LogRecord[]): LogRecord[] {
  let bytes = 0
  const end = records.findIndex((record) => {
    bytes += record.bytes
    return bytes > maxAhead.bytes
  })
  return records.slice(0, end < 0 ? maxAhead.records : Math.min(maxAhead.records, Math.max(1, end)))
}

/** Also of a record whose version cannot be read now. One that is no event went to the dead letters when it was met. */
function eventOf(record: LogRecord): Event | undefined {
  try {
    return record.event
  } catch (error) {
    return storedEventOf(error)
  }
}

function isOf(record: LogRecord, key: string, wants: (record: LogRecord, event: Event) => boolean): boolean {
  const event = eventOf(record)
  return event !== undefined && keyOf(event) === key && wants(record, event)
}
