const digits = Buffer.from('0123456789abcdef', 'latin1')
/** Where the text is put together: a string that is made of a dozen pieces costs several times as much. */
const text = Buffer.from('00000000-0000-7000-8000-000000000000', 'latin1')
/** Where the digits of each random byte stand in the text. */
const places = [14, 16, 19, 21, 24, 26, 28, 30, 32, 34]

/**
 * A UUIDv7 (RFC 9562, section 5.7) for a time and ten random bytes.
 * Sorted by `timeMs`; two of the same millisecond are in no particular order.
 */
export function uuidv7(timeMs: number, random: Uint8Array): string {
  writeTime(Math.max(0, Math.floor(timeMs)))
  for (let index = 0; index < places.length; index += 1) {
    const place = places[index] as number
    const byte = random[index] ?? 0
    text[place] = digits[byte >> 4] as number
    text[place + 1] = digits[byte & 0xf] as number
  }
  // The version, and the variant with two random bits.
  text[14] = digits[7] as number
  text[19] = digits[8 | (((random[2] ?? 0) >> 4) & 3)] as number
  return text.toString('latin1')
}

/** The last time is still there: many ids are made in one millisecond. */
let writtenMs = 0

function writeTime(timeMs: number): void {
  if (timeMs === writtenMs) return
  writtenMs = timeMs
  for (let place = 12, rest = timeMs; place >= 0; place -= 1) {
    if (place === 8) continue
    text[place] = digits[rest % 16] as number
    rest = Math.floor(rest / 16)
  }
}
