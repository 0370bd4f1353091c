import { MillraceError } from '../../core/errors.ts'
import { DeduplicationWindow, type Fingerprint, type Sighting } from '../../log/deduplication-window.ts'
import { type HashKey, halfSipHash } from '../../log/half-sip-hash.ts'
import type { Entry } from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import type { Block } from './block.ts'
import type { Catalog } from './catalog.ts'
import { IdsRow, idBytes, idsHeaderBytes, sightingIn } from './ids-row.ts'
import { allOf, idsKey, numberIn } from './keys.ts'
import { sealBytes, unseal } from './sealed.ts'
import type { Store } from './store.ts'
import type { StoredPlace } from './stored-place.ts'
import type { Writes } from './writes.ts'

/** How long and how many ids are remembered. */
export interface IdentitiesOptions {
  readonly windowMs: number
  readonly maxIds: number
  /** Random, and kept for as long as fingerprints are stored, so that nobody can choose ids that collide. */
  readonly key: HashKey
}

const sweptAtOnce = 1000
const mostCompared = 64
const mostExpected = 16_384
/** Where the entries of a row begin whose checksum was taken off. */
const entriesAt = idsHeaderBytes - sealBytes

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
  /** When the transaction began that is being put together or written, and what it adds. */
  #nowMs = Number.NEGATIVE_INFINITY
  readonly #added = new IdsRow()
  #lastRow: StoredRow | undefined
  /** The lower halves of what will be looked for. */
  #expected: number[] = []
  /** The last block of each place that entries of the transaction were compared with. */
  readonly #compared = new Map<StoredPlace, Block>()
  /** Rows whose last sequence is below this were removed. */
  #sweptBelow = 0

  constructor(store: Store, catalog: Catalog, options: IdentitiesOptions) {
    this.#store = store
    this.#catalog = catalog
    this.#options = options
    this.#window = new DeduplicationWindow(options)
  }

  /** Reads the rows of earlier openings, in one scan; those that are too old by now are passed over. */
  load(nowMs: number): void {
    const all = allOf('ids')
    const [lastKey] = this.#store.keys({ ...all, reverse: true, limit: 1 })
    if (lastKey === undefined) return
    const next = numberIn(lastKey, 1, 6) + 1
    let isOld = true
    this.#store.visit(all, ({ key, value }) => {
      const count = Math.floor((value.length - idsHeaderBytes) / idBytes)
      const content = unseal(value)
      if (isOld && timeMsOf(content) + this.#options.windowMs <= nowMs) return true
      const sequence = numberIn(key, 1, 6) + 1 - count
      if (isOld) this.#window = new DeduplicationWindow(this.#options, sequence, next - sequence)
      isOld = false
      this.#loadRow(content, count)
      return true
    })
    if (isOld) this.#window = new DeduplicationWindow(this.#options, next)
  }

  #loadRow(content: Uint8Array | undefined, count: number): void {
    const row = bufferOf(content)
    const timeMs = timeMsOf(content)
    for (let index = 0; index < count; index += 1) {
      // A row that is corrupt still takes its sequence numbers; nothing is found by these.
      const isRead = content !== undefined
      const low = isRead ? row.readInt32BE(entriesAt + index * idBytes + 4) : Math.imul(index, 0x9e3779b1)
      this.#window.add({ low }, timeMs)
    }
  }

  /** The fingerprint of an id in a topic. */
  fingerprint(topicId: number, id: string): Fingerprint {
    return halfSipHash(this.#options.key, topicId, id)
  }

  /** The fingerprint of an id that will be looked for soon: the next transaction fetches what is known of all such together. */
  expect(topicId: number, id: string): Fingerprint {
    const fingerprint = this.fingerprint(topicId, id)
    if (this.#expected.length < mostExpected) this.#expected.push(fingerprint.low)
    return fingerprint
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
      const stored = this.#valueAt(place, at.offset)
      if (stored === undefined || isSame(stored, entry)) return at
    }
    return undefined
  }

  /** The value at an offset, on its way to the disk too; undefined when it was removed or is corrupt. */
  #valueAt(place: StoredPlace, offset: number): Uint8Array | undefined {
    if (offset >= place.end) return place.stagedValueAt(offset)
    if (offset < place.start) return undefined
    const last = this.#compared.get(place)
    const block = last?.covers(offset) ? last : place.blockWith(offset)
    if (block === undefined) return undefined
    if (this.#compared.size >= mostCompared) this.#compared.clear()
    this.#compared.set(place, block)
    const index = block.indexFrom(offset)
    return block.offsetAt(index) === offset ? block.valueAt(index) : undefined
  }

  /** Where the record of an entry was put; undefined when the entry is of another fingerprint, or its row is corrupt. */
  #sighting(sequence: number, { high, low }: Fingerprint): Sighting | undefined {
    const row = this.#rowOf(sequence)
    const position = row === undefined ? -1 : row.content.length - (row.lastSequence + 1 - sequence) * idBytes
    if (row === undefined || position < entriesAt) return undefined
    const { content } = row
    const isSame = content.readInt32BE(position) === high && content.readInt32BE(position + 4) === low
    return isSame ? sightingIn(content, position) : undefined
  }

  /** The row that has an entry. The last stored one is kept: what is published again mostly is so together. */
  #rowOf(sequence: number): StoredRow | undefined {
    const newest = this.#window.next - 1
    if (sequence > newest - this.#added.count) return { lastSequence: newest, content: this.#added.content() }
    const last = this.#lastRow
    const isThere = last !== undefined && sequence <= last.lastSequence
    if (isThere && sequence > last.lastSequence - (last.content.length - entriesAt) / idBytes) return last
    const { end } = allOf('ids')
    const [row] = this.#store.rows({ start: idsKey(sequence), end, limit: 1 })
    const content = row === undefined ? undefined : unseal(row.value)
    if (row === undefined || content === undefined) return undefined
    const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength)
    this.#lastRow = { lastSequence: numberIn(row.key, 1, 6), content: bytes }
    return this.#lastRow
  }

  /** Remembers an entry of the transaction that is being put together. */
  stage(fingerprint: Fingerprint, at: Sighting, writes: Writes): void {
    if (this.#options.maxIds < 1) return
    if (this.#added.count === 0)
      writes.afterwards(
        () => this.#added.clear(),
        () => this.#unstage(),
      )
    this.#added.add(fingerprint, at)
    this.#window.add(fingerprint, this.#nowMs)
  }

  #unstage(): void {
    this.#window.dropNewest(this.#added.lows())
    this.#added.clear()
  }

  /** A transaction begins: forgets what is too old by then, and removes rows of which nothing is remembered any more. */
  begin(nowMs: number, writes: Writes): void {
    this.#nowMs = nowMs
    this.#window.expire(nowMs)
    this.#window.prefetch(this.#expected)
    this.#expected = []
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
  stageRow(writes: Writes): void {
    this.#compared.clear()
    if (this.#added.count > 0) writes.put(idsKey(this.#window.next - 1), this.#added.seal(this.#nowMs))
  }
}

const emptyMemory = new ArrayBuffer(0)

function bufferOf(content: Uint8Array | undefined): Buffer {
  return Buffer.from(content?.buffer ?? emptyMemory, content?.byteOffset, content?.byteLength)
}

/** When the ids of a row came: long ago for one that is corrupt. */
function timeMsOf(content: Uint8Array | undefined): number {
  return content === undefined ? Number.NEGATIVE_INFINITY : bufferOf(content).readDoubleBE(0)
}

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
