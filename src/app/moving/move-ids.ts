import { deduplicationIdOf } from '../../bus/deduplication-id.ts'
import { isMillraceError } from '../../core/errors.ts'
import { decodeEvent } from '../../core/event-codec.ts'
import type { KnownId, LogExport, LogImport, RememberedId } from '../../log/moving.ts'
import type { Place } from '../../log/port.ts'

const idsAtOnce = 10_000
const readLimits = { records: 256, bytes: 4 * 1024 * 1024 } as const

/** How many ids were moved, and how many not. */
export interface MovedIds {
  readonly moved: number
  /** Of these the log kept only a hash, and the record is gone that would tell the id. */
  readonly lost: number
}

/** Moves the ids that publishers chose, so that publishing them again is a repeat afterwards too. */
export async function moveIds(
  source: LogExport,
  target: LogImport,
  onProgress: (ids: number) => void,
): Promise<MovedIds> {
  let moved = 0
  let lost = 0
  for (let from = await target.idsReached(); ; ) {
    const { ids, next } = await source.ids(from, idsAtOnce)
    if (ids.length === 0) return { moved, lost }
    const known = await identify(source, ids)
    await target.addIds(known, next)
    moved += known.length
    lost += ids.length - known.length
    onProgress(moved)
    from = next
  }
}

/** Finds the ids of which only a hash is known in their records, in the order given; leaves out those whose record is gone. */
async function identify(source: LogExport, ids: readonly RememberedId[]): Promise<readonly KnownId[]> {
  const unknown = Map.groupBy(
    ids.filter(({ deduplicationId }) => deduplicationId === undefined),
    ({ topic, partition }) => `${partition}/${topic}`,
  )
  const found = new Map<string, string>()
  for (const [first, ...others] of unknown.values()) {
    if (first === undefined) continue
    const offsets = [first, ...others].map(({ offset }) => offset)
    await readIds(source, first, offsets, (offset, id) => found.set(nameOf({ ...first, offset }), id))
  }
  return ids.flatMap((id) => {
    const deduplicationId = id.deduplicationId ?? found.get(nameOf(id))
    return deduplicationId === undefined ? [] : [{ ...id, deduplicationId }]
  })
}

function nameOf({ topic, partition, offset }: Place & { readonly offset: number }): string {
  return `${offset}/${partition}/${topic}`
}

/** Reads the records at some offsets of a place, many of which follow one another. */
async function readIds(
  source: LogExport,
  at: Place,
  offsets: readonly number[],
  tell: (offset: number, id: string) => void,
): Promise<void> {
  const wanted = new Set(offsets)
  const sorted = [...wanted].sort((one, other) => one - other)
  const { start } = await source.ends(at)
  for (let index = sorted.findIndex((offset) => offset >= start); index >= 0 && index < sorted.length; ) {
    const { records, next } = await source.read(at, sorted[index] ?? start, readLimits)
    for (const { offset, value } of records) {
      const id = wanted.has(offset) ? idIn(value, at.partition) : undefined
      if (id !== undefined) tell(offset, id)
    }
    while (index < sorted.length && (sorted[index] ?? next) < next) index += 1
  }
}

/** Whoever appends without the bus may have written what is no event. */
function idIn(value: Uint8Array, partition: number): string | undefined {
  try {
    return deduplicationIdOf(decodeEvent(value), partition)
  } catch (error) {
    if (!isMillraceError(error)) throw error
    return undefined
  }
}
