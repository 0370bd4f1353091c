const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/**
 * A UUIDv7 (RFC 9562, section 5.7) for a time and ten random bytes.
 * Sorted by `timeMs`; two of the same millisecond are in no particular order.
 */
export function uuidv7(timeMs: number, random: Uint8Array): string {
  const time = Math.max(0, Math.floor(timeMs)).toString(16).padStart(12, '0')
  const at = (index: number) => random[index] ?? 0
  const byte = (value: number) => hex[value & 0xff] ?? '00'
  const version = byte(0x70 | (at(0) & 0x0f)) + byte(at(1))
  const variant = byte(0x80 | (at(2) & 0x3f)) + byte(at(3))
  const node = byte(at(4)) + byte(at(5)) + byte(at(6)) + byte(at(7)) + byte(at(8)) + byte(at(9))
  return `${time.slice(0, 8)}-${time.slice(8)}-${version}-${variant}-${node}`
}
