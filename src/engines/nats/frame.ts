import { crc32 } from 'node:zlib'
import type { Position } from '../../log/journal/log-servers.ts'
import type { Offset } from '../../log/port.ts'

/** How many records one message has at most; the offsets of a place follow from it. */
export const recordsPerMessage = 1024

/** One record in a message. */
export interface FramedRecord {
  readonly timeMs: number
  readonly value: Uint8Array
}

/** What one message of a place says: records that were stored together. */
export interface Frame {
  /** Names the attempt to store it, by which a writer knows its own again. */
  readonly write: string
  /** Which entry of an outbox the last record was, where it was forwarded. */
  readonly position?: Position
  /** The offset of the first record, where they were moved here from another log; that of each other one follows. */
  readonly first?: Offset
  /** None where all entries were duplicates, and only the position had to be kept. */
  readonly records: readonly FramedRecord[]
}

const format = 1
const writeBytes = 16
const headBytes = 8 + writeBytes
const positionBytes = 12
const firstBytes = 8
const parts = { position: 1, first: 2 } as const
const recordHeadBytes = 12
/** What a message of one record has besides its value. */
export const frameOverheadBytes = headBytes + positionBytes + recordHeadBytes

/** The bytes that a record takes in a message. */
export function framedSize(value: Uint8Array): number {
  return recordHeadBytes + value.length
}

/**
 * A frame as bytes: format, which parts there are (1: a position, 2: the first offset), count of records (2), CRC-32 of all else (4), write
 * (16); sequence (8) and index (4) of the position; the first offset (8); and for each record time (8), length (4) and value. Numbers are
 * big-endian.
 */
export function encodeFrame({ write, position, first, records }: Frame): Uint8Array {
  let size = headBytes + (position === undefined ? 0 : positionBytes) + (first === undefined ? 0 : firstBytes)
  for (const { value } of records) size += framedSize(value)
  const bytes = Buffer.allocUnsafe(size)
  bytes[0] = format
  bytes[1] = (position === undefined ? 0 : parts.position) | (first === undefined ? 0 : parts.first)
  bytes.writeUInt16BE(records.length, 2)
  bytes.write(write.padEnd(writeBytes).slice(0, writeBytes), 8, 'latin1')
  let at = headBytes
  if (position !== undefined) {
    bytes.writeDoubleBE(position.sequence, at)
    bytes.writeUInt32BE(position.index, at + 8)
    at += positionBytes
  }
  if (first !== undefined) at = bytes.writeDoubleBE(first, at)
  for (const { timeMs, value } of records) {
    bytes.writeDoubleBE(timeMs, at)
    bytes.writeUInt32BE(value.length, at + 8)
    bytes.set(value, at + recordHeadBytes)
    at += recordHeadBytes + value.length
  }
  bytes.writeUInt32BE(checksumOf(bytes), 4)
  return bytes
}

/** The frame of a message; undefined where it is not what was stored. Its values share the memory of the message. */
export function decodeFrame(data: Uint8Array): Frame | undefined {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (bytes.length < headBytes || bytes[0] !== format) return undefined
  if (checksumOf(bytes) !== bytes.readUInt32BE(4)) return undefined
  const write = bytes.toString('latin1', 8, headBytes).trimEnd()
  let at = headBytes
  let position: Position | undefined
  const flags = bytes.readUInt8(1)
  if ((flags & parts.position) !== 0) {
    position = { sequence: bytes.readDoubleBE(at), index: bytes.readUInt32BE(at + 8) }
    at += positionBytes
  }
  let first: Offset | undefined
  if ((flags & parts.first) !== 0) {
    first = bytes.readDoubleBE(at)
    at += firstBytes
  }
  const records: FramedRecord[] = []
  for (let index = bytes.readUInt16BE(2); index > 0; index -= 1) {
    const timeMs = bytes.readDoubleBE(at)
    const end = at + recordHeadBytes + bytes.readUInt32BE(at + 8)
    records.push({ timeMs, value: data.subarray(at + recordHeadBytes, end) })
    at = end
  }
  return {
    write,
    ...(position === undefined ? {} : { position }),
    ...(first === undefined ? {} : { first }),
    records,
  }
}

function checksumOf(bytes: Uint8Array): number {
  return crc32(bytes.subarray(8), crc32(bytes.subarray(0, 4)))
}

/** The offset of a record in a place, by its message's sequence in the stream. */
export function offsetOf(sequence: number, index = 0): number {
  return sequence * recordsPerMessage + index
}

/** The sequence of the message that has, or would have, the record of an offset. */
export function sequenceOf(offset: number): number {
  return Math.floor(offset / recordsPerMessage)
}
