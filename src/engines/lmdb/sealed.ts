import { crc32 } from 'node:zlib'

/** Bytes of the checksum that every value begins with. */
export const sealBytes = 4
const noKey = new Uint8Array()
/** Bytes that a record has before the entry's value: the checksum, its time and the bytes before it. */
export const recordHeaderBytes = sealBytes + 8 + 8

/**
 * Puts a checksum before some content. A row that nothing but its key tells apart from others gives its key, so that the
 * checksum covers it too.
 */
export function seal(content: Uint8Array, key: Uint8Array = noKey): Uint8Array {
  const sealed = Buffer.allocUnsafeSlow(sealBytes + content.length)
  sealed.set(content, sealBytes)
  closeSeal(sealed, key)
  return sealed
}

/** A row of JSON with its checksum, as {@link seal} makes it. */
export function sealJson(row: object, key: Uint8Array = noKey): Uint8Array {
  return seal(Buffer.from(JSON.stringify(row)), key)
}

/** Writes the checksum of all that follows it. */
export function closeSeal(sealed: Buffer, key: Uint8Array = noKey): void {
  sealed.writeUInt32BE(checksumOf(sealed.subarray(sealBytes), key), 0)
}

function checksumOf(content: Uint8Array, key: Uint8Array): number {
  return key.length === 0 ? crc32(content) : crc32(content, crc32(key))
}

/** What {@link seal} was given, sharing memory with `sealed`; undefined when the checksum does not match. */
export function unseal(sealed: Uint8Array, key: Uint8Array = noKey): Uint8Array | undefined {
  if (sealed.length < sealBytes) return undefined
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  const content = new Uint8Array(sealed.buffer, sealed.byteOffset + sealBytes, sealed.length - sealBytes)
  return view.getUint32(0) === checksumOf(content, key) ? content : undefined
}

/** A record as it is stored, without its offset. */
export interface RecordContent {
  readonly timeMs: number
  /** The bytes of all earlier records of its place, removed ones too: lets trimming by size search instead of scan. */
  readonly bytesBefore: number
  readonly value: Uint8Array
}

/** Writes a record with its checksum into `target`, which is exactly as long. */
export function sealRecord(target: Buffer, record: RecordContent): void {
  target.writeDoubleBE(record.timeMs, sealBytes)
  target.writeDoubleBE(record.bytesBefore, sealBytes + 8)
  target.set(record.value, recordHeaderBytes)
  closeSeal(target)
}

/** The record in stored bytes, sharing memory with them; undefined when the checksum does not match. */
export function unsealRecord(sealed: Uint8Array): RecordContent | undefined {
  if (sealed.length < recordHeaderBytes || unseal(sealed) === undefined) return undefined
  const view = new DataView(sealed.buffer, sealed.byteOffset, sealed.byteLength)
  return {
    timeMs: view.getFloat64(sealBytes),
    bytesBefore: view.getFloat64(sealBytes + 8),
    value: new Uint8Array(
      sealed.buffer,
      sealed.byteOffset + recordHeaderBytes,
      sealed.length - recordHeaderBytes,
    ),
  }
}
