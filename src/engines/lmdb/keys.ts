/**
 * The layout of the database: one tree, whose keys begin with a tag. Numbers are big-endian, so that keys sort by them.
 * Every value begins with a CRC-32 of the rest of it, that of a state with its key too; see `sealed.ts`.
 *
 * | tag | rest of the key | value |
 * | --- | --- | --- |
 * | 0 opening | incarnation (6) | who has the log open: JSON, empty once it was closed |
 * | 1 log | | JSON: format, partitions, the deduplication key, the last topic and group id |
 * | 2 topic | topic (4) | JSON: name, options, whether it is being deleted |
 * | 3 place | topic (4), partition (2) | JSON: start, and the sums that the removed records leave behind |
 * | 4 need | topic (4), partition (2), group (4) | JSON: the lowest offset that the group needs |
 * | 5 group | group (4) | JSON: name |
 * | 6 epoch | group (4), partition (2) | JSON: the last epoch |
 * | 7 ids | sequence of the last one (6) | the fingerprints that one transaction added |
 * | 8 block | topic (4), partition (2), offset of its last record (6) | records that one transaction appended; see `block.ts` |
 * | 9 state | group (4), partition (2), key (UTF-8) | the value |
 */
export const tags = {
  opening: 0,
  log: 1,
  topic: 2,
  place: 3,
  need: 4,
  group: 5,
  epoch: 6,
  ids: 7,
  block: 8,
  state: 9,
} as const

/** The name of one kind of row. */
export type Tag = keyof typeof tags

/** A number in a key and the bytes that it takes. */
type Part = readonly [value: number, bytes: number]

/** The key of a row: its tag and numbers. */
function keyOf(tag: Tag, ...parts: readonly Part[]): Buffer {
  const key = Buffer.allocUnsafe(1 + parts.reduce((sum, [, bytes]) => sum + bytes, 0))
  key[0] = tags[tag]
  let position = 1
  for (const [value, bytes] of parts) position = key.writeUIntBE(value, position, bytes)
  return key
}

/** The key of the row about the log as a whole. */
export const logKey = keyOf('log')
/** The key of one opening of the log. */
export const openingKey = (incarnation: number) => keyOf('opening', [incarnation, 6])
/** The key of a topic. */
export const topicKey = (topicId: number) => keyOf('topic', [topicId, 4])
/** The key of what a place has lost. */
export const placeKey = (topicId: number, partition: number) => keyOf('place', [topicId, 4], [partition, 2])
/** The key of what a group needs of a place. */
export const needKey = (topicId: number, partition: number, groupId: number) =>
  keyOf('need', [topicId, 4], [partition, 2], [groupId, 4])
/** The key of a group. */
export const groupKey = (groupId: number) => keyOf('group', [groupId, 4])
/** The key of the last epoch of a group's partition. */
export const epochKey = (groupId: number, partition: number) => keyOf('epoch', [groupId, 4], [partition, 2])
/** The key of the ids that one transaction added. */
export const idsKey = (lastSequence: number) => keyOf('ids', [lastSequence, 6])
/**
 * The key of the block whose last record has this offset. So the record at an offset is in the first block from that key on, and
 * the last key says where a place ends, whatever the block says.
 */
export const blockKey = (topicId: number, partition: number, lastOffset: number) =>
  keyOf('block', [topicId, 4], [partition, 2], [lastOffset, 6])

/** The offset in a block's key. */
export function offsetIn(key: Uint8Array): number {
  return numberIn(key, 7, 6)
}

/** A number of `bytes` bytes in a key. */
export function numberIn(key: Uint8Array, position: number, bytes: number): number {
  let value = 0
  for (let index = position; index < position + bytes; index += 1)
    value = value * 256 + (key[index] as number)
  return value
}

const statePrefixBytes = 7

/** The key of a value in a claim's state. */
export function stateKey(groupId: number, partition: number, key: string): Buffer {
  const size = Buffer.byteLength(key)
  const buffer = Buffer.allocUnsafe(statePrefixBytes + size)
  buffer[0] = tags.state
  buffer.writeUInt32BE(groupId, 1)
  buffer.writeUInt16BE(partition, 5)
  buffer.write(key, statePrefixBytes)
  return buffer
}

/** The state key in the key of its row. */
export function stateKeyIn(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('utf8', statePrefixBytes)
}

/** The bounds of all rows of a kind, within the numbers given: from `start` up to, not including, `end`. */
export function allOf(tag: Tag, ...parts: readonly Part[]): { start: Buffer; end: Buffer } {
  const start = keyOf(tag, ...parts)
  const end = Buffer.from(start)
  for (let index = end.length - 1; index >= 0; index -= 1) {
    const byte = end[index] as number
    if (byte < 0xff) {
      end[index] = byte + 1
      return { start, end: end.subarray(0, index + 1) }
    }
  }
  return { start, end }
}
