import { MillraceError } from '../../core/errors.ts'
import type { Batch, ReadLimits, StoredRecord } from '../../log/port.ts'
import { offsetIn, recordKey } from './keys.ts'
import { recordHeaderBytes, unsealRecord } from './sealed.ts'
import type { Store } from './store.ts'
import type { StoredPlace } from './stored-place.ts'

/** Reads records of a place, as the port promises it. */
export function readRecords(store: Store, place: StoredPlace, from: number, limits: ReadLimits): Batch {
  if (from < place.start) throw offsetTrimmed(place, from)
  const records: StoredRecord[] = []
  if (from >= place.end) return { records, next: from }
  const until = Math.min(place.end, from + Math.max(1, limits.records))
  let next = from
  let bytes = 0
  const range = {
    start: recordKey(place.topicId, place.partition, from),
    end: recordKey(place.topicId, place.partition, until),
  }
  store.visit(range, ({ key, value: sealed }) => {
    const size = sealed.length - recordHeaderBytes
    if (records.length > 0 && bytes + size > limits.bytes) return false
    const record = offsetIn(key) === next ? unsealRecord(sealed) : undefined
    if (record === undefined) return false
    records.push({ offset: next, timeMs: record.timeMs, value: record.value })
    bytes += size
    next += 1
    return true
  })
  if (records.length === 0) throw place.corrupt(from)
  return { records, next }
}

function offsetTrimmed(place: StoredPlace, from: number): MillraceError {
  return new MillraceError(
    'OFFSET_TRIMMED',
    `Records below offset ${place.start} of this place were removed; ${from} was asked for.`,
    {
      where: `${place.topic}/${place.partition}@${from}`,
      fix: `Read from offset ${place.start}.`,
      facts: { topic: place.topic, partition: place.partition, offset: from, start: place.start },
    },
  )
}
