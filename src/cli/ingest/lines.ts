import { MillraceError } from '../../core/errors.ts'

/** One item of the input: a line, or an element of a JSON array. */
export interface Line {
  /** Its place in the input, from 1: the number of the line, or of the element. */
  readonly number: number
  /** Its bytes; only the first of them when it is too long. */
  readonly bytes: Uint8Array
  /** How many bytes it has in all. */
  readonly totalBytes: number
  /** Why it can be no event, where that is known before its bytes are looked at. */
  readonly problem?: MillraceError
}

/** What takes input apart, fed in chunks of any size. */
interface Splitter {
  /** The items that this chunk completes. */
  push(chunk: Uint8Array): Line[]
  /** The item that the end of the input completes. */
  end(): Line[]
}

/**
 * Takes the items out of input that is either JSON lines or one JSON array, which its first character tells. Items are not
 * parsed. Blank lines are left out, though they count. An item keeps at most `maxBytes`, so memory stays bounded whatever
 * comes. Throws `JSON_INVALID` for an array that does not end, or that something follows.
 */
export async function* splitItems(
  bytes: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Line[]> {
  let splitter: Splitter | undefined
  const start = new InputStart()
  for await (const chunk of bytes) {
    const rest = start.skip(chunk)
    if (rest.length === 0) continue
    splitter ??=
      rest[0] === openBracket ? new ArraySplitter(maxBytes) : new LineSplitter(maxBytes, start.lines)
    const lines = splitter.push(rest)
    if (lines.length > 0) yield lines
  }
  const last = splitter?.end() ?? []
  if (last.length > 0) yield last
}

const newline = 0x0a
const carriageReturn = 0x0d
const openBracket = 0x5b
const closeBracket = 0x5d
const openBrace = 0x7b
const closeBrace = 0x7d
const comma = 0x2c
const quote = 0x22
const backslash = 0x5c

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === newline || byte === carriageReturn || byte === 0x09
}

/** Skips a byte order mark and white space before the first item, and counts the lines of it. */
class InputStart {
  lines = 0
  #position = 0
  #begun = false

  skip(chunk: Uint8Array): Uint8Array {
    if (this.#begun) return chunk
    for (const [index, byte] of chunk.entries()) {
      if (byte === newline) this.lines += 1
      const isMark = byte === [0xef, 0xbb, 0xbf][this.#position]
      this.#position += 1
      if (!isMark && !isSpace(byte)) {
        this.#begun = true
        return chunk.subarray(index)
      }
    }
    return chunk.subarray(chunk.length)
  }
}

/** Collects the bytes of one item, up to a bound. */
class ItemBytes {
  readonly #maxBytes: number
  #parts: Uint8Array[] = []
  #keptBytes = 0
  #totalBytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  add(part: Uint8Array): void {
    this.#totalBytes += part.length
    const kept = part.subarray(0, this.#maxBytes - this.#keptBytes)
    if (kept.length === 0) return
    this.#parts.push(kept)
    this.#keptBytes += kept.length
  }

  /** The item, without white space around it; what follows is the next one. */
  take(number: number): Line {
    const [only] = this.#parts
    const whole = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts)
    const line = { number, bytes: trimmed(whole), totalBytes: this.#totalBytes }
    this.#parts = []
    this.#keptBytes = 0
    this.#totalBytes = 0
    return line
  }
}

function trimmed(bytes: Uint8Array): Uint8Array {
  let start = 0
  let end = bytes.length
  while (start < end && isSpace(bytes[start] ?? 0)) start += 1
  while (end > start && isSpace(bytes[end - 1] ?? 0)) end -= 1
  return bytes.subarray(start, end)
}

class LineSplitter implements Splitter {
  readonly #item: ItemBytes
  #number: number

  constructor(maxBytes: number, linesBefore: number) {
    this.#item = new ItemBytes(maxBytes)
    this.#number = linesBefore
  }

  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      this.#item.add(chunk.subarray(start, end))
      this.#take(lines)
      start = end + 1
    }
    if (start < chunk.length) this.#item.add(chunk.subarray(start))
    return lines
  }

  end(): Line[] {
    const lines: Line[] = []
    this.#take(lines)
    return lines
  }

  #take(lines: Line[]): void {
    this.#number += 1
    const line = this.#item.take(this.#number)
    if (line.bytes.length > 0) lines.push(line)
  }
}

/**
 * Finds the elements of a JSON array by its brackets, commas and strings alone, and leaves the rest to the JSON parser: so
 * an element that is no JSON is one bad element, and not the end of the run as it is for a parser of the whole array.
 */
class ArraySplitter implements Splitter {
  readonly #item: ItemBytes
  #number = 0
  #depth = 0
  #inString = false
  #escaped = false
  #ended = false

  constructor(maxBytes: number) {
    this.#item = new ItemBytes(maxBytes)
  }

  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = []
    let start = 0
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index] ?? 0
      if (this.#depth === 0) {
        this.#outside(byte)
        start = index + 1
      } else if (this.#separates(byte)) {
        this.#item.add(chunk.subarray(start, index))
        this.#take(lines, this.#depth === 0)
        start = index + 1
      }
    }
    if (start < chunk.length) this.#item.add(chunk.subarray(start))
    return lines
  }

  end(): Line[] {
    if (this.#ended) return []
    throw new MillraceError('JSON_INVALID', 'The array does not end.', {
      where: `element ${this.#number + 1}`,
      fix: "Close it with ']'; what came before is kept, and the next run goes on behind it.",
    })
  }

  /** Reads one byte within the array; whether it ends an element. */
  #separates(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false
      else if (byte === backslash) this.#escaped = true
      else if (byte === quote) this.#inString = false
      return false
    }
    if (byte === quote) this.#inString = true
    else if (byte === openBracket || byte === openBrace) this.#depth += 1
    else if (byte === closeBracket || byte === closeBrace) this.#depth -= 1
    return this.#depth === 0 || (byte === comma && this.#depth === 1)
  }

  #outside(byte: number): void {
    if (byte === openBracket && !this.#ended) {
      this.#depth = 1
    } else if (!isSpace(byte)) {
      throw new MillraceError('JSON_INVALID', 'Something follows the end of the array.', {
        where: `after element ${this.#number}`,
        fix: 'Give one JSON array, or JSON lines.',
      })
    }
  }

  #take(lines: Line[], last: boolean): void {
    this.#ended = last
    const line = this.#item.take(this.#number + 1)
    if (last && this.#number === 0 && line.bytes.length === 0) return
    this.#number += 1
    lines.push(line)
  }
}
