import type { Fingerprint, Sighting } from '../../log/deduplication-window.ts'
import { seal, sealBytes } from './sealed.ts'

/** Bytes of a row of ids before its entries: the checksum and when they were added. */
export const idsHeaderBytes = sealBytes + 8
/** Bytes of one entry of a row of ids: both halves of the fingerprint, topic, partition and offset. */
export const idBytes = 4 + 4 + 4 + 2 + 6
/** Bytes before the entries of a row whose checksum was taken off. */
const contentHeaderBytes = idsHeaderBytes - sealBytes

const firstBytes = contentHeaderBytes + 1024 * idBytes
/** Memory beyond this is not kept for the next row. */
const keptBytes = 1024 * 1024

/** A row of ids that is being put together, in memory that the next one takes over. */
export class IdsRow {
  #row = Buffer.alloc(firstBytes)
  #count = 0

  /** How many entries it has. */
  get count(): number {
    return this.#count
  }

  add({ high, low }: Fingerprint, { topicId, partition, offset }: Sighting): void {
    let position = contentHeaderBytes + this.#count * idBytes
    if (position === this.#row.length) this.#row = grown(this.#row)
    position = this.#row.writeInt32BE(high, position)
    position = this.#row.writeInt32BE(low, position)
    position = this.#row.writeUInt32BE(topicId, position)
    position = this.#row.writeUInt16BE(partition, position)
    this.#row.writeUIntBE(offset, position, 6)
    this.#count += 1
  }

  /** The lower halves of the fingerprints it has so far. */
  lows(): number[] {
    return Array.from({ length: this.#count }, (_, index) =>
      this.#row.readInt32BE(contentHeaderBytes + index * idBytes + 4),
    )
  }

  /** What it has so far, without a checksum; it changes with the row. */
  content(): Buffer {
    return this.#row.subarray(0, contentHeaderBytes + this.#count * idBytes)
  }

  /** The row as it is stored, its entries all added at one time. */
  seal(timeMs: number): Uint8Array {
    this.#row.writeDoubleBE(timeMs, 0)
    return seal(this.content())
  }

  /** Begins anew. */
  clear(): void {
    this.#count = 0
    if (this.#row.length > keptBytes) this.#row = Buffer.alloc(firstBytes)
  }
}

/** A row with room for as many entries again. */
function grown(row: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  return Buffer.concat([row, Buffer.alloc(row.length - contentHeaderBytes)])
}

/** Where the record of an entry is, which begins at a position of its row. */
export function sightingIn(row: Buffer, position: number): Sighting {
  return {
    topicId: row.readUInt32BE(position + 8),
    partition: row.readUInt16BE(position + 12),
    offset: row.readUIntBE(position + 14, 6),
  }
}
