import type { Fingerprint, Sighting } from '../../log/deduplication-window.ts'
import { arrayIn } from './columns.ts'
import type { Row } from './connection.ts'

/**
 * The ids of one transaction are one value: for each its fingerprint (8 bytes), and the topic (4), the partition (2) and the offset (6)
 * of its record. Beside it stand the topics of the places that it appended to and where these ended: then the topic is the number of
 * such a place, from 1 on, and the offset counts from its end. Values of earlier versions have neither.
 */
export const idBytes = 20

/** An id, and where its record is. */
export interface StoredId extends Fingerprint, Sighting {}

/** How many ids a value has. */
export function idsIn(ids: Buffer): number {
  return ids.length / idBytes
}

/** One half of the fingerprint of an id. */
export function lowAt(ids: Buffer, index: number): number {
  return ids.readInt32BE(index * idBytes + 4)
}

/** What stands beside a value. */
export interface WrittenPlaces {
  readonly topicIds: readonly number[]
  readonly ends: readonly number[]
}

/** Reads what stands beside a value in a row; undefined in one of an earlier version. */
export function placesIn({ topic_ids: topicIds, ends }: Row): WrittenPlaces | undefined {
  return topicIds === null ? undefined : { topicIds: arrayIn(topicIds), ends: arrayIn(ends) }
}

/** One id of a value. */
export function idAt(ids: Buffer, index: number, places?: WrittenPlaces): StoredId {
  const position = index * idBytes
  const topic = ids.readUInt32BE(position + 8)
  const offset = ids.readUIntBE(position + 14, 6)
  return {
    high: ids.readInt32BE(position),
    low: ids.readInt32BE(position + 4),
    topicId: places?.topicIds[topic - 1] ?? topic,
    partition: ids.readUInt16BE(position + 12),
    offset: offset + (places?.ends[topic - 1] ?? 0),
  }
}

/** The value of some ids. */
export function encodeIds(ids: readonly StoredId[]): Buffer {
  const bytes = Buffer.allocUnsafe(ids.length * idBytes)
  let position = 0
  for (const { high, low, topicId, partition, offset } of ids) {
    position = bytes.writeInt32BE(high, position)
    position = bytes.writeInt32BE(low, position)
    position = bytes.writeUInt32BE(topicId, position)
    position = bytes.writeUInt16BE(partition, position)
    position = bytes.writeUIntBE(offset, position, 6)
  }
  return bytes
}
