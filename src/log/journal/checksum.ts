const table = new Int32Array(256).map((_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** The CRC-32 of bytes, as zlib computes it: this floor has no zlib. Part of the stored format. */
export function checksumOf(bytes: Uint8Array): number {
  let checksum = -1
  for (let index = 0; index < bytes.length; index += 1) {
    checksum = (table[(checksum ^ (bytes[index] as number)) & 0xff] as number) ^ (checksum >>> 8)
  }
  return (checksum ^ -1) >>> 0
}
