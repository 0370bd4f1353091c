/**
 * The partition of a key: FNV-1a (32 bit) over its UTF-8 bytes, finished with the mixing steps of MurmurHash3, modulo
 * the partition count. Part of the stored format: it must never change.
 */
export function partitionOf(key: string, partitions: number): number {
  return hashOf(key) % partitions
}

const encoder = new TextEncoder()

function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index += 1) {
    const code = key.charCodeAt(index)
    if (code > 0x7f) return hashOfBytes(encoder.encode(key))
    hash = Math.imul(hash ^ code, 0x01000193)
  }
  return mix(hash)
}

function hashOfBytes(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return mix(hash)
}

function mix(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, 0x85ebca6b)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, 0xc2b2ae35)
  return (mixed ^ (mixed >>> 16)) >>> 0
}
