import type { PlaceEnds } from '../../log/moving.ts'
import type { Place, StoredRecord } from '../../log/port.ts'
import { Block } from './block.ts'
import { recordCorrupt } from './failures.ts'
import { allOf, blockKey, offsetIn, placeKey } from './keys.ts'
import { sealJson } from './sealed.ts'
import { StagedRecords } from './staged-records.ts'
import type { Store } from './store.ts'
import type { Writes } from './writes.ts'

/** What is kept of the records that a place no longer has, and of the offsets that it never had. */
interface PlaceRow {
  readonly start: number
  /** Where offsets behind the last record were skipped: the next one. */
  readonly end?: number
  readonly bytesBeforeStart: number
  readonly lastTimeMs: number
}

/** A record by what its block says of it. */
interface KnownRecord {
  readonly offset: number
  readonly timeMs: number
  /** The bytes of all earlier records of the place. */
  readonly bytesBefore: number
}

/** So many blocks are removed by one transaction at most. */
const removedAtOnce = 1000

/**
 * One place in memory. Its records are in blocks, by the offset of the last one in each; their times and the bytes before
 * them never fall. So the blocks themselves are the index by offset, by time and by size.
 *
 * What a transaction on its way has taken is in `#next…`; `end` follows when that is durable.
 */
export class StoredPlace implements Place {
  readonly topic: string
  readonly topicId: number
  readonly partition: number
  /** The lowest offset that each group needs, by the group's id. */
  readonly needs = new Map<number, number>()
  readonly #store: Store
  #start = 0
  #end = 0
  /** Behind the last record: where offsets up to the end were skipped, it is below that. */
  #recordsEnd = 0
  #bytesBeforeStart = 0
  #bytesBeforeEnd = 0
  #lastTimeMs = Number.NEGATIVE_INFINITY
  #nextStart = 0
  #nextOffset = 0
  #nextBytes = 0
  #nextTimeMs = Number.NEGATIVE_INFINITY
  #staged: StagedRecords | undefined

  constructor(store: Store, topic: string, topicId: number, partition: number) {
    this.#store = store
    this.topic = topic
    this.topicId = topicId
    this.partition = partition
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

  /** Behind the last record; below `end` where the offsets since were skipped. */
  get recordsEnd(): number {
    return this.#recordsEnd
  }

  get ends(): PlaceEnds {
    return { start: this.#start, end: this.#end, lastTimeMs: this.#lastTimeMs }
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
    this.#recordsEnd = this.#start
    this.#bytesBeforeEnd = this.#bytesBeforeStart
    this.#loadEnd()
    this.#end = Math.max(this.#recordsEnd, row?.end ?? 0)
    this.#unstage()
  }

  /** The last key says where the place ends; behind a block that is damaged, the last whole one and the sizes since say the rest. */
  #loadEnd(): void {
    const all = allOf('block', [this.topicId, 4], [this.partition, 2])
    let bytesSince = 0
    let found = false
    this.#store.visit({ ...all, reverse: true }, (row) => {
      if (!found) this.#recordsEnd = offsetIn(row.key) + 1
      found = true
      const block = Block.open(row)
      if (block === undefined) {
        bytesSince += row.value.length
        return true
      }
      this.#lastTimeMs = Math.max(this.#lastTimeMs, block.timeMsAt(block.count - 1))
      this.#bytesBeforeEnd = block.bytesBeforeAt(block.count) + bytesSince
      bytesSince = 0
      return false
    })
    if (bytesSince > 0) this.#bytesBeforeEnd = this.#bytesBeforeStart + bytesSince
  }

  /** Takes the next offset for a value. */
  stage(value: Uint8Array, timeMs: number, writes: Writes): number {
    const offset = this.#nextOffset
    this.#stageAt(offset, value, timeMs, writes)
    return offset
  }

  /** Stages a record that was moved here, at its own offset, which is behind all others. */
  stageRecord({ offset, timeMs, value }: StoredRecord, writes: Writes): void {
    this.#stageAt(offset, value, timeMs, writes)
  }

  #stageAt(offset: number, value: Uint8Array, timeMs: number, writes: Writes): void {
    if (timeMs > this.#nextTimeMs) this.#nextTimeMs = timeMs
    this.#staged ??= this.#stageFirst(writes)
    const size = this.#staged.add(offset, this.#nextTimeMs, value)
    this.#nextOffset = offset + 1
    this.#nextBytes += size
    writes.recordBytes += size
  }

  /** Stages where a place begins and ends that was moved here. */
  stageEnds({ start, end, lastTimeMs }: PlaceEnds, writes: Writes): void {
    const row: PlaceRow = { start, end, bytesBeforeStart: 0, lastTimeMs }
    writes.put(placeKey(this.topicId, this.partition), sealJson(row))
    writes.afterwards(() => this.load())
  }

  #stageFirst(writes: Writes): StagedRecords {
    const { topicId, partition } = this
    const staged = new StagedRecords({
      topicId,
      partition,
      end: this.#recordsEnd,
      bytes: this.#bytesBeforeEnd,
    })
    writes.records.push(staged)
    writes.afterwards(
      () => this.#settle(),
      () => this.#unstage(),
    )
    return staged
  }

  #settle(): void {
    this.#end = this.#nextOffset
    this.#recordsEnd = this.#nextOffset
    this.#bytesBeforeEnd = this.#nextBytes
    this.#lastTimeMs = this.#nextTimeMs
    this.#staged = undefined
  }

  #unstage(): void {
    this.#nextOffset = this.#end
    this.#nextBytes = this.#bytesBeforeEnd
    this.#nextTimeMs = this.#lastTimeMs
    this.#staged = undefined
  }

  /** The value at an offset that is on its way to the disk. */
  stagedValueAt(offset: number): Uint8Array | undefined {
    return this.#staged?.valueAt(offset)
  }

  /** The durable block that an offset belongs to; undefined when it is damaged. */
  blockWith(offset: number): Block | undefined {
    let found: Block | undefined
    this.visitBlocks(offset, (block) => {
      found = block
      return false
    })
    return found
  }

  /** Visits the durable blocks from the one that has an offset on, until `visit` returns false; undefined for a damaged one. */
  visitBlocks(from: number, visit: (block: Block | undefined, lastOffset: number) => boolean): void {
    const { topicId, partition } = this
    const range = { start: blockKey(topicId, partition, from), end: blockKey(topicId, partition, this.#end) }
    this.#store.visit(range, (row) => visit(Block.open(row), offsetIn(row.key)))
  }

  /** The smallest offset whose record's time is at least `timeMs`, or may be: of a damaged block no time is known. */
  offsetAtTime(timeMs: number): number {
    if (timeMs > this.#lastTimeMs) return this.#end
    return this.#search((record) => record.timeMs >= timeMs)
  }

  /** The smallest offset from which on there are at most `keepBytes` stored. */
  offsetAtSize(keepBytes: number): number {
    return this.#search((record) => this.#bytesBeforeEnd - record.bytesBefore <= keepBytes)
  }

  /** The smallest offset that `reached` holds for, where it holds for all above one for which it does. */
  #search(reached: (record: KnownRecord) => boolean): number {
    let low = this.#start
    let high = this.#end
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const known = this.#knownFrom(middle)
      if (known === undefined || known.offset >= high || reached(known)) high = middle
      else low = known.offset + 1
    }
    return this.#withoutSkipped(low)
  }

  /** The offset of the next record, where no record was ever below it from `offset` on. */
  #withoutSkipped(offset: number): number {
    let next = offset
    this.visitBlocks(offset, (block) => {
      if (block !== undefined && block.follows <= offset) next = block.offsetAt(block.indexFrom(offset))
      return false
    })
    return next
  }

  /** The first record from an offset on that is not in a damaged block. */
  #knownFrom(from: number): KnownRecord | undefined {
    let known: KnownRecord | undefined
    this.visitBlocks(from, (block) => {
      if (block === undefined) return true
      const index = block.indexFrom(from)
      const offset = block.offsetAt(index)
      known = { offset, timeMs: block.timeMsAt(index), bytesBefore: block.bytesBeforeAt(index) }
      return false
    })
    return known
  }

  /**
   * Stages the removal of the records below `to`, which is above `nextStart` and not above `end`, as far as one transaction
   * takes it; gives where the place will start. A block that has records from there on stays as it is.
   */
  stageRemoval(to: number, writes: Writes): number {
    const { topicId, partition } = this
    const start = blockKey(topicId, partition, this.#nextStart)
    const keys = this.#store.keys({ start, end: blockKey(topicId, partition, to), limit: removedAtOnce })
    for (const key of keys) writes.remove(key)
    const last = keys.length === removedAtOnce ? keys.at(-1) : undefined
    this.#stageStart(last === undefined ? to : offsetIn(last) + 1, writes)
    return this.#nextStart
  }

  #stageStart(start: number, writes: Writes): void {
    const bytesBeforeStart = this.#knownFrom(start)?.bytesBefore ?? this.#bytesBeforeEnd
    const end = this.#end > this.#recordsEnd ? { end: this.#end } : {}
    const row: PlaceRow = { start, ...end, bytesBeforeStart, lastTimeMs: this.#lastTimeMs }
    this.#nextStart = start
    writes.put(placeKey(this.topicId, this.partition), sealJson(row))
    writes.afterwards(
      () => {
        this.#start = start
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
