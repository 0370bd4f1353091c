/**
 * Passing over parts of a JSON text: each function takes the bytes and where a part begins, and gives the place behind it.
 * Beyond the end a byte is undefined, which no comparison is true for.
 */

export const [quote, comma, colon] = [34, 44, 58] as const
const [backslash, openBrace, closeBrace, closeBracket] = [92, 123, 125, 93]

/** Thrown for a text that only `JSON.parse` can judge. */
export const undecided = new Error('A text that the scanner does not read.')

/** Passes over white space. */
export function nextToken(bytes: Uint8Array, from: number): number {
  let at = from
  let code = bytes[at] as number
  while (code <= 32 && (code === 32 || code === 10 || code === 13 || code === 9)) {
    at += 1
    code = bytes[at] as number
  }
  return at
}

/** Passes over a text from its quote on; the place behind it is negative where the text has a backslash. */
export function skipText(bytes: Uint8Array, from: number): number {
  let at = from + 1
  let escaped = false
  for (;;) {
    const code = bytes[at] as number
    if (code === quote) return escaped ? -at - 1 : at + 1
    if (!(code >= 32)) throw undecided
    if (code === backslash) {
      escaped = true
      at += 1
    }
    at += 1
  }
}

/** Passes over a number, or one of the words true, false and null. */
export function skipPlain(bytes: Uint8Array, from: number): number {
  let at = from
  let code = bytes[at] as number
  while (code > 32 && code !== comma && code !== closeBrace && code !== closeBracket) {
    at += 1
    code = bytes[at] as number
  }
  if (at === from) throw undecided
  return at
}

/** Whether a byte belongs to numbers and what stands between them: one of `,-./0123456789:`. */
const isNumeric = (code: number) => (code - 44) >>> 0 <= 14

/** Passes over an object or an array: counts brackets, outside of texts. Long rows of numbers are what it is fast for. */
export function skipNested(bytes: Uint8Array, from: number): number {
  const last = bytes.length - 1
  let depth = 0
  let at = from
  while (at <= last) {
    const code = bytes[at] as number
    at += 1
    if (isNumeric(code)) {
      while (at < last && isNumeric(bytes[at] as number) && isNumeric(bytes[at + 1] as number)) at += 2
    } else if (code === quote) {
      at = behindText(bytes, at)
    } else {
      // Brackets and braces differ in one bit: 91 and 123 open, 93 and 125 close.
      const kind = code | 32
      if (kind === openBrace) depth += 1
      else if (kind === closeBrace) {
        depth -= 1
        if (depth === 0) return at
      }
    }
  }
  throw undecided
}

function behindText(bytes: Uint8Array, from: number): number {
  let at = from
  while (at < bytes.length) {
    const code = bytes[at] as number
    at += code === backslash ? 2 : 1
    if (code === quote) break
  }
  return at
}
