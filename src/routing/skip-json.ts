/**
 * Passing over parts of a JSON text: each function takes the bytes and where a part begins, and gives the place behind it.
 * Beyond the end a byte is undefined, which no comparison is true for.
 */

export const [quote, comma, colon] = [34, 44, 58] as const
const [backslash, closeBrace, closeBracket] = [92, 125, 93]

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

/** What a byte means to {@link skipNested}: 0 for nothing. */
const meanings = new Uint8Array(256)
const [opens, closes, quotes, ends] = [1, 2, 3, 4] as const
for (const code of [91, 123]) meanings[code] = opens
for (const code of [closeBracket, closeBrace]) meanings[code] = closes
meanings[quote] = quotes
meanings[0] = ends

/** Passes over an object or an array: counts brackets, outside of texts. */
export function skipNested(bytes: Uint8Array, from: number): number {
  const { length } = bytes
  let depth = 0
  for (let at = from; at < length; at += 1) {
    const meaning = meanings[bytes[at] as number]
    if (meaning === 0) continue
    if (meaning === opens) depth += 1
    else if (meaning === closes) {
      depth -= 1
      if (depth === 0) return at + 1
    } else if (meaning === quotes) {
      at = Math.abs(skipText(bytes, at)) - 1
    } else break
  }
  throw undecided
}
