import {
  type ClaimContents,
  type ClaimName,
  importUnfinished,
  type KnownId,
  type LogExport,
  type LogImport,
  logOccupied,
  logUnknown,
  type Move,
  type PlaceEnds,
  type PlaceReached,
  stillInUse,
} from '../../log/moving.ts'
import type { KeyValue, Place, StoredRecord, Topic } from '../../log/port.ts'
import { MemoryContents } from './memory-contents.ts'
import type { Arrival, MemoryLog } from './memory-log.ts'

/** Opens a log in memory to be moved away. */
export async function exportMemory(log: MemoryLog): Promise<LogExport> {
  if (log.isEmpty) throw logUnknown('memory:')
  const origin = log.arrival?.origin
  if (origin?.finished === false) throw importUnfinished('memory:', origin)
  if (log.isOpen) throw stillInUse('memory:', 'this process', {})
  return new MemoryExport(log)
}

/** Opens a log in memory that another one is to be moved into. */
export async function importMemory(log: MemoryLog): Promise<LogImport> {
  return new MemoryImport(log)
}

class MemoryExport extends MemoryContents implements LogExport {
  get mark(): Move | undefined {
    return this.log.mark
  }

  async setMark(mark: Move | undefined): Promise<void> {
    this.log.mark = mark
  }
}

class MemoryImport extends MemoryContents implements LogImport {
  readonly found: LogImport['found']

  constructor(log: MemoryLog) {
    super(log)
    if (log.isEmpty) this.found = 'nothing'
    else this.found = log.arrival?.origin.finished === false ? 'import' : 'log'
  }

  get origin(): Move | undefined {
    return this.log.arrival?.origin
  }

  async begin(origin: Move, partitions: number): Promise<void> {
    const isSame = this.found === 'import' && this.origin?.id === origin.id && this.partitions === partitions
    if (this.found !== 'nothing' && !isSame) throw logOccupied('memory:')
    this.log.open(partitions)
    this.log.arrival ??= { origin, whole: new Set(), ids: 0 }
  }

  async createTopic({ name, options }: Topic): Promise<void> {
    this.log.createTopic(name, options)
  }

  async reached(at: Place): Promise<PlaceReached> {
    const { end } = this.log.place(at).ends
    return { next: end, ended: this.#arrival.whole.has(nameOfPlace(at)) }
  }

  async addRecords(at: Place, records: readonly StoredRecord[]): Promise<void> {
    for (const record of records) this.log.addRecord(at, record)
  }

  async endPlace(at: Place, ends: PlaceEnds): Promise<void> {
    this.log.place(at).setEnds(ends)
    this.#arrival.whole.add(nameOfPlace(at))
  }

  async hasClaim(of: ClaimName): Promise<boolean> {
    return this.#arrival.whole.has(nameOfClaim(of))
  }

  async addClaim(
    of: ClaimName,
    { epoch, needs }: ClaimContents,
    state: AsyncIterable<readonly KeyValue[]>,
  ): Promise<void> {
    const group = this.log.group(of.group)
    const { values, needs: needed } = group.state(of.partition)
    for (const { key } of await this.state(of, undefined, unlimited)) values.delete(key)
    for await (const portion of state) {
      for (const { key, value } of portion) values.put(key, value)
    }
    for (const [topic, offset] of Object.entries(needs)) needed.set(topic, offset)
    group.setEpoch(of.partition, epoch)
    this.#arrival.whole.add(nameOfClaim(of))
  }

  async idsReached(): Promise<number> {
    return this.#arrival.ids
  }

  async addIds(ids: readonly KnownId[], next: number): Promise<void> {
    for (const { topic, deduplicationId, partition, offset, timeMs } of ids) {
      const first = { partition, offset, timeMs }
      this.log.topics.get(topic)?.remember(deduplicationId, first, Number.POSITIVE_INFINITY)
    }
    this.#arrival.ids = next
  }

  async finish(): Promise<void> {
    this.#arrival.origin = { ...this.#arrival.origin, finished: true }
  }

  async drop(): Promise<void> {
    if (this.found === 'log') throw logOccupied('memory:')
    this.log.clear()
  }

  get #arrival(): Arrival {
    const { arrival } = this.log
    if (arrival === undefined) throw new TypeError('the import has not begun')
    return arrival
  }
}

const unlimited = { values: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY }

function nameOfPlace({ topic, partition }: Place): string {
  return `place ${partition}/${topic}`
}

function nameOfClaim({ group, partition }: ClaimName): string {
  return `claim ${partition}/${group}`
}
