import { MillraceError } from '../../core/errors.ts'
import { DeduplicationWindow, type Fingerprint, type Sighting } from '../../log/deduplication-window.ts'
import type { HashKey } from '../../log/half-sip-hash.ts'
import type { Entry } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import type { Catalog } from './catalog.ts'
import { allOf, idsKey, numberIn } from './keys.ts'
import { seal, unseal } from './sealed.ts'
import type { Store } from './store.ts'
import type { Writes } from './writes.ts'

/** How long and how many ids are remembered. */
export interface IdentitiesOptions {
  readonly windowMs: number
  readonly maxIds: number
  readonly key: HashKey
}

/** Bytes of a row of ids before its entries: the checksum and when they were added. */
export const idsHeaderBytes = 4 + 8
/** Bytes of one entry of a row of ids. */
export const idBytes = 4 + 4 + 4 + 2 + 6
const sweptAtOnce = 1000
/** The fields of one entry: both halves of its fingerprint, and the numbers of its sighting. */
export const idFields = 5

/** A row of ids behind its checksum, and the sequence number of its last entry. */
interface StoredRow {
  readonly lastSequence: number
  readonly content: Buffer
}

/** Remembers the ids that publishers chose. Each transaction writes the ones it added as one row. */
export class Identities {
  readonly #store: Store
  readonly #catalog: Catalog
  readonly #options: IdentitiesOptions
  #window: DeduplicationWindow
  /** How many of the newest are not durable yet. */
  /** The entries of the transaction that is being put together or written: the fields of one after those of the other. */
  #added: number[] = []
  #lastRow: StoredRow | undefined
  /** Rows whose last sequence is below this were removed. */
  #sweptBelow = 0

  constructor(store: Store, catalog: Catalog, options: IdentitiesOptions) {
    this.#store = store
    this.#catalog = catalog
    this.#options = options
    this.#window = new DeduplicationWindow(options)
  }

  /** Reads the rows of earlier openings, in one scan. */
  load(): void {
    let first = true
    this.#store.visit(allOf('ids'), ({ key, value }) => {
      const count = Math.floor((value.length - idsHeaderBytes) / idBytes)
      if (first) this.#window = new DeduplicationWindow(this.#options, numberIn(key, 1, 6) + 1 - count)
      first = false
      this.#loadRow(unseal(value), count)
      return true
    })
  }

  #loadRow(content: Uint8Array | undefined, count: number): void {
    const row = Buffer.from(content?.buffer ?? emptyMemory, content?.byteOffset, content?.byteLength)
    for (let index = 0; index < count; index += 1) {
      // A row that is corrupt still takes its sequence numbers; nothing is found by these.
      const isRead = content !== undefined
      const low = isRead ? row.readUInt32BE(8 + index * idBytes + 4) : Math.imul(index, 0x9e3779b1) >>> 0
      this.#window.add({ low }, isRead ? row.readDoubleBE(0) : Number.NEGATIVE_INFINITY)
    }
  }

  fingerprint(topicId: number, id: string): Fingerprint {
    return this.#window.fingerprint(topicId, id)
  }

  /**
   * Where the same event was put, on its way to the disk too; undefined when it is new. Throws `ID_REUSED` when its id
   * stands for something else. A record that was removed or is corrupt cannot be compared and counts as the same.
   */
  find(entry: Entry, topicId: number, fingerprint: Fingerprint): Sighting | undefined {
    for (const sequence of this.#window.find(fingerprint)) {
      const at = this.#sighting(sequence, fingerprint)
      const place = at?.topicId === topicId ? this.#catalog.placeById(topicId, at.partition) : undefined
      if (at === undefined || place === undefined) continue
      const stored = place.valueAt(at.offset)
      if (stored === undefined || isSame(stored, entry)) return at
    }
    return undefined
  }

  /** Where the record of an entry was put; undefined when the entry is of another fingerprint, or its row is corrupt. */
  #sighting(sequence: number, fingerprint: Fingerprint): Sighting | undefined {
    const firstAdded = this.#window.next - this.#added.length / idFields
    if (sequence >= firstAdded) return this.#addedSighting((sequence - firstAdded) * idFields, fingerprint)
    const row = this.#rowOf(sequence)
    const position = row === undefined ? -1 : row.content.length - (row.lastSequence + 1 - sequence) * idBytes
    if (row === undefined || position < 8) return undefined
    const { content } = row
    const isSame =
      content.readUInt32BE(position) === fingerprint.high &&
      content.readUInt32BE(position + 4) === fingerprint.low
    return isSame ? sightingIn(content, position) : undefined
  }

  #addedSighting(position: number, { high, low }: Fingerprint): Sighting | undefined {
    const [itsHigh, itsLow, topicId, partition, offset] = this.#added.slice(position, position + idFields)
    if (itsHigh !== high || itsLow !== low) return undefined
    return { topicId: topicId as number, partition: partition as number, offset: offset as number }
  }

  /** The stored row that has an entry. The last one is kept: what is published again mostly is so together. */
  #rowOf(sequence: number): StoredRow | undefined {
    const last = this.#lastRow
    const isThere = last !== undefined && sequence <= last.lastSequence
    if (isThere && sequence > last.lastSequence - (last.content.length - 8) / idBytes) return last
    const { end } = allOf('ids')
    const [row] = this.#store.rows({ start: idsKey(sequence), end, limit: 1 })
    const content = row === undefined ? undefined : unseal(row.value)
    if (row === undefined || content === undefined) return undefined
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    this.#lastRow = { lastSequence: numberIn(row.key, 1, 6), content: bytes }
    return this.#lastRow
  }

  /** Remembers an entry of the transaction that is being put together. */
  stage(fingerprint: Fingerprint, at: Sighting, nowMs: number, writes: Writes): void {
    if (this.#options.maxIds < 1) return
    if (this.#added.length === 0)
      writes.afterwards(
        () => undefined,
        () => this.#unstage(),
      )
    this.#added.push(fingerprint.high, fingerprint.low, at.topicId, at.partition, at.offset)
    this.#window.add(fingerprint, nowMs)
  }

  #unstage(): void {
    this.#window.dropNewest(this.#added.length / idFields)
    this.#added = []
  }

  /** Forgets what is too old, and removes rows of which nothing is remembered any more. */
  expire(nowMs: number, writes: Writes): void {
    this.#window.expire(nowMs)
    const below = this.#window.oldest
    if (below === this.#sweptBelow) return
    const { start } = allOf('ids')
    const keys = this.#store.keys({ start, end: idsKey(below), limit: sweptAtOnce })
    for (const key of keys) writes.remove(key)
    if (keys.length < sweptAtOnce) {
      writes.afterwards(() => {
        this.#sweptBelow = below
      })
    }
  }

  /** Writes the row of a transaction whose steps are all staged. */
  stageRow(nowMs: number, writes: Writes): void {
    // Of more than are kept, the oldest are forgotten already.
    const count = Math.min(this.#added.length / idFields, this.#window.size)
    if (count === 0) return
    const row = sealIds(this.#added, count, nowMs)
    writes.put(idsKey(this.#window.next - 1), row)
    writes.afterwards(() => {
      this.#added = []
    })
  }
}

/** A row of the last `count` entries, all added at one time: the fields of one after those of the other. */
export function sealIds(fields: readonly number[], count: number, timeMs: number): Uint8Array {
  const row = Buffer.allocUnsafe(8 + count * idBytes)
  let position = row.writeDoubleBE(timeMs, 0)
  for (let index = fields.length - count * idFields; index < fields.length; index += idFields) {
    position = row.writeUInt32BE(fields[index] as number, position)
    position = row.writeUInt32BE(fields[index + 1] as number, position)
    position = row.writeUInt32BE(fields[index + 2] as number, position)
    position = row.writeUInt16BE(fields[index + 3] as number, position)
    position = row.writeUIntBE(fields[index + 4] as number, position, 6)
  }
  return seal(row)
}

/** Where the record of an entry is, which begins at a position of its row. */
export function sightingIn(row: Buffer, position: number): Sighting {
  return {
    topicId: row.readUInt32BE(position + 8),
    partition: row.readUInt16BE(position + 12),
    offset: row.readUIntBE(position + 14, 6),
  }
}

const emptyMemory = new ArrayBuffer(0)

/** Whether a stored event is the one of an entry; false when only their fingerprints are equal. */
export function isSame(stored: Uint8Array, entry: Entry): boolean {
  if (Buffer.compare(stored, entry.value) === 0) return true
  const comparison = compareEvents(stored, entry.value)
  if (comparison !== 'changed') return comparison === 'same'
  throw new MillraceError('ID_REUSED', 'An event with this source and id was published with other content.', {
    where: `${entry.topic}/${entry.partition}`,
    fix: 'Give every event an id of its own; publish again under the same id only what is the same.',
    facts: { topic: entry.topic, deduplicationId: entry.deduplicationId },
  })
}
