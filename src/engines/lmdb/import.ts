import { rm, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Runtime } from '../../core/runtime.ts'
import { halfSipHash } from '../../log/half-sip-hash.ts'
import {
  type ClaimContents,
  type ClaimName,
  type KnownId,
  type LogImport,
  logOccupied,
  type Move,
  type PlaceEnds,
  type PlaceReached,
} from '../../log/moving.ts'
import type { KeyValue, Place, StoredRecord, Topic } from '../../log/port.ts'
import { LmdbContents } from './contents.ts'
import { hasDatabase } from './export.ts'
import { IdsRow } from './ids-row.ts'
import { allOf, epochKey, idsKey, numberIn, placeKey, stateKey } from './keys.ts'
import { createLog, loadCatalog, type OpenedStore, openStore, readLogRow } from './open-log.ts'
import { seal, sealJson } from './sealed.ts'
import { Writes } from './writes.ts'

interface ImportOptions {
  readonly runtime: Runtime
}

/** Opens a folder that a log is to be moved into; rejects as `openLmdb` does. */
export async function importLmdb(folder: string, options: ImportOptions): Promise<LogImport> {
  if (!hasDatabase(folder)) return new LmdbImport(folder, options, undefined)
  const opened = await openStore(folder, options)
  try {
    return new LmdbImport(folder, options, opened)
  } catch (error) {
    await opened.close().catch(() => undefined)
    throw error
  }
}

const removedAtOnce = 5000

/** Every method is one transaction or more, each of which holds as a whole. */
class LmdbImport extends LmdbContents implements LogImport {
  readonly found: LogImport['found']
  readonly #folder: string
  readonly #options: ImportOptions
  /** A database that has no log yet. */
  #empty: OpenedStore | undefined

  constructor(folder: string, options: ImportOptions, opened: OpenedStore | undefined) {
    const log = opened && readLogRow(opened.store)
    super(opened && log && { ...opened, catalog: loadCatalog(opened.store, log) })
    this.#folder = folder
    this.#options = options
    this.#empty = log === undefined ? opened : undefined
    if (log === undefined) this.found = 'nothing'
    else this.found = log.movedFrom?.finished === false ? 'import' : 'log'
  }

  get origin(): Move | undefined {
    return this.isOpen ? this.opened.catalog.log.movedFrom : undefined
  }

  async begin(origin: Move, partitions: number): Promise<void> {
    if (this.found === 'import' && this.origin?.id === origin.id && this.partitions === partitions) return
    if (this.found !== 'nothing') throw logOccupied(this.#folder)
    const opened = this.#empty ?? (await openStore(this.#folder, this.#options))
    this.#empty = opened
    const { store } = opened
    const log = await createLog(store, { partitions, movedFrom: origin }, this.#options.runtime)
    this.open({ ...opened, catalog: loadCatalog(store, log) })
  }

  async createTopic({ name, options }: Topic): Promise<void> {
    await this.#write((writes) => this.opened.catalog.stageTopic(name, options, writes))
  }

  async reached(at: Place): Promise<PlaceReached> {
    const place = this.opened.catalog.place(at)
    // Nothing is trimmed while a log is brought in, so only `endPlace` writes this row.
    const ended = this.opened.store.get(placeKey(place.topicId, place.partition)) !== undefined
    return { next: place.recordsEnd, ended }
  }

  async addRecords(at: Place, records: readonly StoredRecord[]): Promise<void> {
    const place = this.opened.catalog.place(at)
    await this.#write((writes) => {
      for (const record of records) place.stageRecord(record, writes)
    })
  }

  async endPlace(at: Place, ends: PlaceEnds): Promise<void> {
    const place = this.opened.catalog.place(at)
    await this.#write((writes) => place.stageEnds(ends, writes))
  }

  async hasClaim({ group, partition }: ClaimName): Promise<boolean> {
    return this.opened.catalog.epoch(this.groupId(group), partition) !== undefined
  }

  async addClaim(
    { group, partition }: ClaimName,
    { epoch, needs }: ClaimContents,
    state: AsyncIterable<readonly KeyValue[]>,
  ): Promise<void> {
    const { catalog } = this.opened
    const groupId = await this.#write((writes) => catalog.stageGroup(group, writes))
    await this.#removeState(groupId, partition)
    for await (const portion of state) {
      await this.#write((writes) => {
        for (const { key, value } of portion) {
          const rowKey = stateKey(groupId, partition, key)
          writes.put(rowKey, seal(value, rowKey))
        }
      })
    }
    await this.#write((writes) => {
      // It also says that all of the claim is here, so there is one where none was given before.
      writes.put(epochKey(groupId, partition), sealJson({ epoch: Math.max(1, epoch) }))
      for (const [topic, offset] of Object.entries(needs)) {
        if (catalog.hasForStep(topic)) {
          catalog.stageNeed(catalog.place({ topic, partition }), groupId, offset, writes)
        }
      }
    })
  }

  async #removeState(groupId: number, partition: number): Promise<void> {
    for (;;) {
      const limit = removedAtOnce
      const keys = this.opened.store.keys({ ...allOf('state', [groupId, 4], [partition, 2]), limit })
      if (keys.length === 0) return
      await this.#write((writes) => {
        for (const key of keys) writes.remove(key)
      })
    }
  }

  async idsReached(): Promise<number> {
    return this.opened.catalog.log.idsReached ?? 0
  }

  async addIds(ids: readonly KnownId[], next: number): Promise<void> {
    const { catalog } = this.opened
    await this.#write((writes) => {
      let sequence = this.#nextIdSequence()
      const row = new IdsRow()
      let timeMs = Number.NaN
      const stageRow = () => {
        if (row.count === 0) return
        sequence += row.count
        writes.put(idsKey(sequence - 1), row.seal(timeMs))
        row.clear()
      }
      for (const id of ids) {
        if (id.timeMs !== timeMs) stageRow()
        timeMs = id.timeMs
        const { topicId, partition } = catalog.place(id)
        const fingerprint = halfSipHash(catalog.log.deduplicationKey, topicId, id.deduplicationId)
        row.add(fingerprint, { topicId, partition, offset: id.offset })
      }
      stageRow()
      catalog.stageLog({ idsReached: next }, writes)
    })
  }

  /** The first that was not given to an id yet. */
  #nextIdSequence(): number {
    const [last] = this.opened.store.rows({ ...allOf('ids'), reverse: true, limit: 1 })
    return last === undefined ? 0 : numberIn(last.key, 1, 6) + 1
  }

  async finish(): Promise<void> {
    const { catalog } = this.opened
    const origin = catalog.log.movedFrom
    if (origin === undefined) throw new TypeError('the import has not begun')
    await this.#write((writes) =>
      catalog.stageLog({ movedFrom: { ...origin, finished: true }, idsReached: undefined }, writes),
    )
  }

  async drop(): Promise<void> {
    if (this.found === 'log') throw logOccupied(this.#folder)
    await this.close()
    if (!hasDatabase(this.#folder)) return
    await rm(join(this.#folder, 'lock.mdb'), { force: true })
    await rm(join(this.#folder, 'data.mdb'))
    // What else is there is not ours.
    await rmdir(this.#folder).catch(() => undefined)
  }

  override async close(): Promise<void> {
    if (this.isOpen) return await super.close()
    const empty = this.#empty
    this.#empty = undefined
    await empty?.close()
  }

  async #write<T>(stage: (writes: Writes) => T): Promise<T> {
    const writes = new Writes()
    const answer = stage(writes)
    await this.opened.store.writeAll(writes)
    return answer
  }
}
