import type { ClaimName, LogContents, PlaceEnds } from '../../log/moving.ts'
import type { Batch, KeyValue, Place, StoredRecord } from '../../log/port.ts'

const readLimits = { records: 5000, bytes: 4 * 1024 * 1024 } as const
const stateLimits = { values: 5000, bytes: 4 * 1024 * 1024 } as const

/** Gives the records of a place from an offset on, portion by portion; the next one is being read while one is used. */
export async function* recordsOf(
  log: LogContents,
  at: Place,
  from: number,
): AsyncGenerator<readonly StoredRecord[], void> {
  let reading = readAhead(log, at, from)
  for (;;) {
    const { records, next } = await reading
    if (records.length === 0) return
    reading = readAhead(log, at, next)
    yield records
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

/** Whether two places begin and end alike. */
export function haveEqualEnds(one: PlaceEnds, other: PlaceEnds): boolean {
  return one.start === other.start && one.end === other.end && one.lastTimeMs === other.lastTimeMs
}
