import { MillraceError } from '../../core/errors.ts'
import type {
  ClaimContents,
  ClaimName,
  IdPage,
  LogContents,
  PlaceEnds,
  RememberedId,
  StateLimits,
} from '../../log/moving.ts'
import type { Batch, KeyValue, Offset, Place, ReadLimits, Topic } from '../../log/port.ts'
import type { Catalog } from './catalog.ts'
import { idBytes, idsHeaderBytes, sightingIn } from './ids-row.ts'
import { allOf, idsKey, numberIn, stateKey, stateKeyIn } from './keys.ts'
import type { OpenedStore } from './open-log.ts'
import { readRecords } from './reading.ts'
import { sealBytes, unseal } from './sealed.ts'
import type { Row } from './store.ts'

/** A log in a folder that is open to be moved. */
export interface OpenedContents extends OpenedStore {
  readonly catalog: Catalog
}

/** All that the log in one folder holds. */
export class LmdbContents implements LogContents {
  #opened: OpenedContents | undefined
  #closed: Promise<void> | undefined

  constructor(opened: OpenedContents | undefined) {
    this.#opened = opened
  }

  /** What is open. Throws `TypeError` where there is nothing yet. */
  protected get opened(): OpenedContents {
    if (this.#opened === undefined) throw new TypeError('there is no log yet')
    return this.#opened
  }

  protected get isOpen(): boolean {
    return this.#opened !== undefined
  }

  protected open(opened: OpenedContents | undefined): void {
    this.#opened = opened
  }

  get partitions(): number {
    return this.opened.catalog.partitions
  }

  async listTopics(): Promise<readonly Topic[]> {
    return this.opened.catalog.list()
  }

  async ends(at: Place): Promise<PlaceEnds> {
    return this.opened.catalog.place(at).ends
  }

  async read(at: Place, from: Offset, limits: ReadLimits): Promise<Batch> {
    return readRecords(this.opened.catalog.place(at), from, limits)
  }

  async listGroups(): Promise<readonly string[]> {
    return [...this.opened.catalog.groups.keys()].sort()
  }

  async claim({ group, partition }: ClaimName): Promise<ClaimContents> {
    const { catalog } = this.opened
    const groupId = this.groupId(group)
    const needs: Record<string, Offset> = {}
    for (const { name: topic } of catalog.list()) {
      const offset = catalog.place({ topic, partition }).needs.get(groupId)
      if (offset !== undefined) needs[topic] = offset
    }
    return { epoch: catalog.epoch(groupId, partition) ?? 0, needs }
  }

  async state(
    { group, partition }: ClaimName,
    after: string | undefined,
    limits: StateLimits,
  ): Promise<readonly KeyValue[]> {
    const groupId = this.groupId(group)
    const all = allOf('state', [groupId, 4], [partition, 2])
    const start = after === undefined ? all.start : stateKey(groupId, partition, `${after}\0`)
    const found: KeyValue[] = []
    let bytes = 0
    this.opened.store.visit({ start, end: all.end }, (row) => {
      const value = stateValue(`${group}/${partition}`, row)
      bytes += value.length
      if (found.length > 0 && (found.length >= limits.values || bytes > limits.bytes)) return false
      found.push({ key: stateKeyIn(row.key), value })
      return true
    })
    return found
  }

  /** Positions are sequence numbers. */
  async ids(from: number, limit: number): Promise<IdPage> {
    const ids: RememberedId[] = []
    let next = from
    this.opened.store.visit({ start: idsKey(from), end: allOf('ids').end }, (row) => {
      next = this.#readIds(row, next, limit, ids)
      return ids.length < limit
    })
    return { ids, next }
  }

  /** Takes the ids of a row from a sequence number on; gives where to go on. A row that is corrupt has none. */
  #readIds(row: Row, from: number, limit: number, ids: RememberedId[]): number {
    const last = numberIn(row.key, 1, 6)
    const content = unseal(row.value)
    if (content === undefined) return last + 1
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    const head = idsHeaderBytes - sealBytes
    const first = last + 1 - (bytes.length - head) / idBytes
    for (let sequence = Math.max(first, from); sequence <= last; sequence += 1) {
      if (ids.length >= limit) return sequence
      const { topicId, partition, offset } = sightingIn(bytes, head + (sequence - first) * idBytes)
      const place = this.opened.catalog.placeById(topicId, partition)
      if (place !== undefined) {
        ids.push({ topic: place.topic, partition, offset, timeMs: bytes.readDoubleBE(0) })
      }
    }
    return last + 1
  }

  close(): Promise<void> {
    this.#closed ??= this.#opened?.close() ?? Promise.resolve()
    return this.#closed
  }

  /** The id of a group; that of no group where there is none of that name. */
  protected groupId(group: string): number {
    return this.opened.catalog.groups.get(group) ?? 0
  }
}

function stateValue(claim: string, row: Row): Uint8Array {
  const value = unseal(row.value, row.key)
  if (value !== undefined) return value
  throw new MillraceError('LOG_DAMAGED', 'A value of the state does not match its checksum.', {
    where: `${claim}: ${stateKeyIn(row.key)}`,
    fix: 'Run `millrace doctor`: it says all that is damaged and what to do.',
  })
}
