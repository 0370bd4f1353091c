import type { Place } from '../../log/port.ts'
import { recordCorrupt } from './failures.ts'
import { allOf, offsetIn, placeKey, recordKey } from './keys.ts'
import { type RecordContent, recordHeaderBytes, sealJson, unsealRecord } from './sealed.ts'
import type { Store } from './store.ts'
import type { RecordWrite, RowPlace, Writes } from './writes.ts'

/** What is kept of the records that a place no longer has. */
interface PlaceRow {
  readonly start: number
  readonly bytesBeforeStart: number
  readonly lastTimeMs: number
}

/**
 * One place in memory. Offsets are dense: every offset from `start` up to `end` has a record, and its time and the bytes
 * before it never fall. So the records themselves are the index by time and by size, searched by halving.
 *
 * What a transaction on its way has taken is in `#next…`; `end` follows when that is durable.
 */
export class StoredPlace implements Place, RowPlace {
  readonly topic: string
  readonly topicId: number
  readonly partition: number
  readonly key: Buffer
  /** The lowest offset that each group needs, by the group's id. */
  readonly needs = new Map<number, number>()
  readonly #store: Store
  #start = 0
  #end = 0
  #bytesBeforeStart = 0
  #bytesBeforeEnd = 0
  #lastTimeMs = Number.NEGATIVE_INFINITY
  #nextStart = 0
  #nextOffset = 0
  #nextBytes = 0
  #nextTimeMs = Number.NEGATIVE_INFINITY
  #staged: RecordWrite[] = []

  constructor(store: Store, topic: string, topicId: number, partition: number) {
    this.#store = store
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
    this.key = recordKey(topicId, partition, 0)
  }

  get start(): number {
    return this.#start
  }

  /** Where the place will start after the transaction on its way. */
  get nextStart(): number {
    return this.#nextStart
  }

  get end(): number {
    return this.#end
  }

  /** The stored bytes of its records. */
  get bytes(): number {
    return this.#bytesBeforeEnd - this.#bytesBeforeStart
  }

  /** Reads what the disk has. */
  load(): void {
    const row = this.#store.json<PlaceRow>(placeKey(this.topicId, this.partition))
    this.#start = row?.start ?? 0
    this.#nextStart = this.#start
    this.#bytesBeforeStart = row?.bytesBeforeStart ?? 0
    this.#lastTimeMs = row?.lastTimeMs ?? Number.NEGATIVE_INFINITY
    this.#end = this.#start
    this.#bytesBeforeEnd = this.#bytesBeforeStart
    this.#loadEnd()
    this.#unstage()
  }

  /** The last record says where the place ends; behind one that is corrupt, the last whole one and the sizes since do. */
  #loadEnd(): void {
    const all = allOf('record', [this.topicId, 4], [this.partition, 2])
    let bytesSince = 0
    let found = false
    this.#store.visit({ ...all, reverse: true }, ({ key, value }) => {
      if (!found) this.#end = offsetIn(key) + 1
      found = true
      bytesSince += value.length
      const record = unsealRecord(value)
      if (record === undefined) return true
      this.#lastTimeMs = record.timeMs
      this.#bytesBeforeEnd = record.bytesBefore + bytesSince
      bytesSince = 0
      return false
    })
    if (bytesSince > 0) this.#bytesBeforeEnd = this.#bytesBeforeStart + bytesSince
  }

  /** Takes the next offset for a value. */
  stage(value: Uint8Array, timeMs: number, writes: Writes): number {
    const offset = this.#nextOffset
    const size = recordHeaderBytes + value.length
    const record: RecordWrite = {
      place: this,
      offset,
      timeMs: Math.max(timeMs, this.#nextTimeMs),
      bytesBefore: this.#nextBytes,
      value,
    }
    if (this.#staged.length === 0)
      writes.afterwards(
        () => this.#settle(),
        () => this.#unstage(),
      )
    this.#staged.push(record)
    this.#nextOffset += 1
    this.#nextBytes += size
    this.#nextTimeMs = record.timeMs
    writes.records.push(record)
    writes.recordBytes += size
    return offset
  }

  #settle(): void {
    this.#end = this.#nextOffset
    this.#bytesBeforeEnd = this.#nextBytes
    this.#lastTimeMs = this.#nextTimeMs
    this.#staged = []
  }

  #unstage(): void {
    this.#nextOffset = this.#end
    this.#nextBytes = this.#bytesBeforeEnd
    this.#nextTimeMs = this.#lastTimeMs
    this.#staged = []
  }

  /** The value at an offset, on its way to the disk too; undefined when it was removed or is corrupt. */
  valueAt(offset: number): Uint8Array | undefined {
    if (offset >= this.#end) return this.#staged[offset - this.#end]?.value
    return offset < this.#start ? undefined : this.#recordAt(offset)?.value
  }

  #recordAt(offset: number): RecordContent | undefined {
    const sealed = this.#store.get(recordKey(this.topicId, this.partition, offset))
    return sealed === undefined ? undefined : unsealRecord(sealed)
  }

  /** The smallest offset whose record's time is at least `timeMs`, or may be: the time of a corrupt one is unknown. */
  offsetAtTime(timeMs: number): number {
    if (timeMs > this.#lastTimeMs) return this.#end
    return this.#search((record) => record.timeMs >= timeMs)
  }

  /** The smallest offset from which on there are at most `keepBytes` stored. */
  offsetAtSize(keepBytes: number): number {
    return this.#search((record) => this.#bytesBeforeEnd - record.bytesBefore <= keepBytes)
  }

  /** The smallest offset that `reached` holds for, where it holds for all above one for which it does. */
  #search(reached: (record: RecordContent) => boolean): number {
    let low = this.#start
    let high = this.#end
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const whole = this.#wholeFrom(middle, high)
      if (whole === undefined || reached(whole.record)) high = middle
      else low = whole.offset + 1
    }
    return low
  }

  /** The first record that is not corrupt, from an offset on. */
  #wholeFrom(from: number, until: number): { offset: number; record: RecordContent } | undefined {
    for (let offset = from; offset < until; offset += 1) {
      const record = this.#recordAt(offset)
      if (record !== undefined) return { offset, record }
    }
    return undefined
  }

  /** Stages the removal of the records below `to`, which is above `nextStart` and no record on its way may be below. */
  stageRemoval(to: number, writes: Writes): void {
    const whole = this.#wholeFrom(to, this.#end)
    const bytesBeforeStart = whole?.record.bytesBefore ?? this.#bytesBeforeEnd
    const row: PlaceRow = { start: to, bytesBeforeStart, lastTimeMs: this.#lastTimeMs }
    writes.removals.push({ place: this, from: this.#nextStart, to })
    this.#nextStart = to
    writes.put(placeKey(this.topicId, this.partition), sealJson(row))
    writes.afterwards(
      () => {
        this.#start = to
        this.#bytesBeforeStart = bytesBeforeStart
      },
      () => {
        this.#nextStart = this.#start
      },
    )
  }

  /** Sets what a group needs at once, since trimming must know; undone when the transaction fails. */
  stageNeed(groupId: number, offset: number, writes: Writes): void {
    const before = this.needs.get(groupId)
    this.needs.set(groupId, offset)
    writes.afterwards(
      () => undefined,
      () => {
        if (before === undefined) this.needs.delete(groupId)
        else this.needs.set(groupId, before)
      },
    )
  }

  /** The error of a record that cannot be read. */
  corrupt(offset: number): Error {
    return recordCorrupt(this, offset)
  }
}
