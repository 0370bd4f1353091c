import { MillraceError } from '../../core/errors.ts'
import type { PlaceEnds } from '../../log/moving.ts'
import type {
  Batch,
  Bounds,
  Entry,
  Offset,
  Place,
  ReadLimits,
  StoredRecord,
  TrimLimits,
} from '../../log/port.ts'

/** The records of one place. */
export class PlaceLog {
  readonly #at: Place
  readonly #records: StoredRecord[] = []
  readonly #watchers = new Set<() => void>()
  #start: Offset = 0
  #end: Offset = 0
  #bytes = 0
  #lastTimeMs = Number.NEGATIVE_INFINITY

  constructor(at: Place) {
    this.#at = at
  }

  get bounds(): Bounds {
    return { start: this.#start, end: this.#end, bytes: this.#bytes }
  }

  get end(): Offset {
    return this.#end
  }

  get ends(): PlaceEnds {
    return { start: this.#start, end: this.#end, lastTimeMs: this.#lastTimeMs }
  }

  /** Says where the place begins and ends. */
  setEnds({ start, end, lastTimeMs }: PlaceEnds): void {
    this.#start = start
    this.#end = end
    this.#lastTimeMs = lastTimeMs
  }

  /** The time that an entry gets when it is appended now. */
  timeOf(entry: Entry): number {
    return Math.max(entry.timeMs, this.#lastTimeMs)
  }

  append(entry: Entry): Offset {
    const offset = this.#end
    this.add({ offset, timeMs: this.timeOf(entry), value: entry.value })
    return offset
  }

  /** Puts a record behind all that there are, at an offset that may skip some. */
  add({ offset, timeMs, value }: StoredRecord): void {
    this.#records.push({ offset, timeMs, value: new Uint8Array(value) })
    this.#end = offset + 1
    this.#bytes += value.length
    this.#lastTimeMs = timeMs
    this.wake()
  }

  /** The stored bytes at an offset, not to be changed; undefined when they were trimmed. */
  valueAt(offset: Offset): Uint8Array | undefined {
    const record = this.#records[this.#indexFrom(offset)]
    return record?.offset === offset ? record.value : undefined
  }

  /** The index of the first record at or above an offset. Mostly none was skipped, and it is where it would be then. */
  #indexFrom(offset: Offset): number {
    const guess = offset - this.#start
    if (this.#records[guess]?.offset === offset) return guess
    return this.#firstWith((record) => record.offset >= offset)
  }

  /** The index of the first record that a condition holds for, where it holds for all behind one for which it does. */
  #firstWith(holds: (record: StoredRecord) => boolean): number {
    let low = 0
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (holds(this.#records[middle] as StoredRecord)) high = middle
      else low = middle + 1
    }
    return low
  }

  read(from: Offset, limits: ReadLimits): Batch {
    if (from < this.#start) throw trimmed(this.#at, from, this.#start)
    const records: StoredRecord[] = []
    let bytes = 0
    for (let index = this.#indexFrom(from); index < this.#records.length; index += 1) {
      const { offset, timeMs, value } = this.#records[index] as StoredRecord
      bytes += value.length
      if (records.length > 0 && (records.length >= limits.records || bytes > limits.bytes)) break
      records.push({ offset, timeMs, value: new Uint8Array(value) })
    }
    const last = records.at(-1)
    return { records, next: last === undefined ? Math.max(from, this.#end) : last.offset + 1 }
  }

  offsetAt(timeMs: number): Offset {
    return this.#records[this.#firstWith((record) => record.timeMs >= timeMs)]?.offset ?? this.#end
  }

  /** Lets records go as {@link TrimLimits} says, but none from `needed` on; gives the new start. */
  trim(limits: TrimLimits, needed: Offset): Offset {
    const wanted = Math.max(
      limits.before ?? 0,
      limits.beforeTimeMs === undefined ? 0 : this.offsetAt(limits.beforeTimeMs),
      limits.keepBytes === undefined ? 0 : this.#startKeeping(limits.keepBytes),
    )
    const start = Math.max(this.#start, Math.min(wanted, needed, this.#end))
    for (const { value } of this.#records.splice(0, this.#indexFrom(start))) this.#bytes -= value.length
    this.#start = start
    return start
  }

  /** Calls `watcher` whenever the place changes; the answer takes it away again. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  wake(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #startKeeping(keepBytes: number): Offset {
    let bytes = this.#bytes
    let index = 0
    for (; bytes > keepBytes; index += 1) bytes -= this.#records[index]?.value.length ?? bytes
    return index === 0 ? this.#start : (this.#records[index]?.offset ?? this.#end)
  }
}

function trimmed(at: Place, from: Offset, start: Offset): MillraceError {
  return new MillraceError('OFFSET_TRIMMED', `Offset ${from} is below ${start}, where the records begin.`, {
    where: `${at.topic}/${at.partition}`,
    fix: 'Read on from the start that `bounds` gives; what was before it is gone.',
    facts: { ...at, offset: from, start },
  })
}
