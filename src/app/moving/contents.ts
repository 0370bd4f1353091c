import type { ClaimName, LogContents, PlaceEnds } from '../../log/moving.ts'
import type { Batch, KeyValue, Offset, Place, StoredRecord } from '../../log/port.ts'

const readLimits = { records: 5000, bytes: 4 * 1024 * 1024 } as const
const stateLimits = { values: 5000, bytes: 4 * 1024 * 1024 } as const

/** Where reading of a place begins. */
export interface ReadingFrom {
  readonly offset: Offset
  /** The time of the record before that, which later ones are not below. */
  readonly timeMs: number
}

/**
 * Gives the records of a place from an offset on, portion by portion; the next one is being read while one is used. Where servers have
 * stored what several writers sent at once, times may fall: they are raised here, as the log port promises it.
 */
export async function* recordsOf(
  log: LogContents,
  at: Place,
  from: ReadingFrom,
): AsyncGenerator<readonly StoredRecord[], void> {
  let { timeMs } = from
  let reading = readAhead(log, at, from.offset)
  for (;;) {
    const { records, next } = await reading
    if (records.length === 0) return
    reading = readAhead(log, at, next)
    yield records.map((record) => {
      timeMs = Math.max(timeMs, record.timeMs)
      return timeMs === record.timeMs ? record : { ...record, timeMs }
    })
  }
}

/** Whoever stops in between does not wait for it, and its failure is nobody's then. */
function readAhead(log: LogContents, at: Place, from: number): Promise<Batch> {
  const reading = log.read(at, from, readLimits)
  reading.catch(() => undefined)
  return reading
}

/** Gives all values of a claim's state, portion by portion. */
export async function* stateOf(log: LogContents, of: ClaimName): AsyncGenerator<readonly KeyValue[], void> {
  for (let after: string | undefined; ; ) {
    const portion = await log.state(of, after, stateLimits)
    const last = portion.at(-1)
    if (last === undefined) return
    yield portion
    after = last.key
  }
}

/** Whether a place that was moved begins and ends as before. */
export function haveEqualEnds(before: PlaceEnds, after: PlaceEnds): boolean {
  return before.start === after.start && before.end === after.end && before.lastTimeMs <= after.lastTimeMs
}
