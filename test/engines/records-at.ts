import type { LogEngine, Offset, Place, StoredRecord } from '../../src/log/port.ts'

const noLimits = { records: 1_000_000, bytes: 1_000_000_000 }

/** All records of a place, from an offset on. A read gives at least one where there is one, and need not give all. */
export async function recordsAt(
  engine: Pick<LogEngine, 'read'>,
  at: Place,
  from: Offset = 0,
): Promise<readonly StoredRecord[]> {
  const found: StoredRecord[] = []
  for (let next = from; ; ) {
    const batch = await engine.read(at, next, noLimits)
    if (batch.records.length === 0) return found
    found.push(...batch.records)
    next = batch.next
  }
}
