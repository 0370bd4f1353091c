import { crc32 } from 'node:zlib'

/** Bytes of the checksum that every value begins with. */
export const sealBytes = 4
const noKey = new Uint8Array()

/**
 * Puts a checksum before some content. A row that nothing but its key tells apart from others gives its key, so that the
 * checksum covers it too.
 */
export function seal(content: Uint8Array, key: Uint8Array = noKey): Uint8Array {
  const sealed = Buffer.allocUnsafeSlow(sealBytes + content.length)
  sealInto(sealed, content, key)
  return sealed
}

/** As {@link seal}, into a piece of memory that is exactly as long. */
export function sealInto(sealed: Buffer, content: Uint8Array, key: Uint8Array): void {
  sealed.set(content, sealBytes)
  sealed.writeUInt32BE(checksumOf(content, key), 0)
}

/** A row of JSON with its checksum, as {@link seal} makes it. */
export function sealJson(row: object, key: Uint8Array = noKey): Uint8Array {
  return seal(Buffer.from(JSON.stringify(row)), key)
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
