import type { Place } from './array-elements.ts'
import { type LongNumber, readNumber } from './long-number.ts'
import { type Edge, nextHash, type PathNode } from './path-tree.ts'
import { checkNesting } from './read-parsed.ts'
import { nowhere, type Reading } from './reading.ts'
import { colon, comma, nextToken, quote, skipNested, skipPlain, skipText, undecided } from './skip-json.ts'

const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93]
const [backslash, minus, point, zero, nine] = [92, 45, 46, 48, 57]

/** The bytes of the text being read: of one at a time, because reading waits for nothing. */
let shared = Buffer.allocUnsafe(64 * 1024)
const maxKeptBytes = 8 * 1024 * 1024

/** Room for a text and one byte more; kept for the next one unless it is very large. */
function bufferFor(bytes: number): Buffer {
  if (bytes < shared.length) return shared
  const larger = Buffer.allocUnsafe(bytes + 1)
  if (bytes < maxKeptBytes) shared = larger
  return larger
}

/**
 * Reads the fields that patterns ask for straight from the bytes of a JSON text, and passes over all else without making
 * anything of it: what is passed over is checked for its quotes and brackets only.
 */
export class JsonScanner {
  #bytes: Buffer = shared
  /** The text, where each of its characters is the byte with the same number. */
  #ascii: string | undefined
  #reading: Reading
  /** Numbers the objects of all texts, so that an edge knows whether this object was there already. */
  #objects = 0

  constructor(reading: Reading) {
    this.#reading = reading
  }

  /** Reads an event; false where `JSON.parse` must judge the text: it is no JSON, or has a name twice in one object. */
  readText(text: string, root: PathNode): boolean {
    const bytes = bufferFor(text.length * 3)
    const length = bytes.write(text, 0, 'utf8')
    if (length !== text.length && !text.isWellFormed()) return false
    this.#bytes = bytes
    this.#ascii = length === text.length ? text : undefined
    return this.#read(root, length)
  }

  /** Reads an event from bytes that are valid UTF-8; false as for {@link readText}. */
  readBytes(bytes: Uint8Array, root: PathNode): boolean {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    this.#ascii = undefined
    return this.#read(root, bytes.length)
  }

  #read(root: PathNode, length: number): boolean {
    const bytes = this.#bytes
    // What lies behind the text must not look like more of it.
    const behind = length < bytes.length ? bytes[length] : undefined
    if (behind !== undefined) bytes[length] = 0
    try {
      const from = nextToken(bytes, 0)
      if (bytes[from] !== openBrace) return false
      return nextToken(bytes, this.#readObject(from, root, nowhere)) === length
    } catch (error) {
      if (error === undecided) return false
      throw error
    } finally {
      this.#ascii = undefined
      this.#bytes = shared
    }
  }

  /** Reads an object from its brace on; the place behind it. So do all that follow. */
  #readObject(from: number, node: PathNode, place: Place): number {
    const bytes = this.#bytes
    this.#objects += 1
    const object = this.#objects
    let at = nextToken(bytes, from + 1)
    if (bytes[at] === closeBrace) return at + 1
    for (;;) {
      if (bytes[at] !== quote) throw undecided
      let hash = 0
      const name = at + 1
      at = name
      let code = bytes[at] as number
      while (code !== quote && code !== backslash) {
        if (!(code >= 32)) throw undecided
        hash = nextHash(hash, code)
        at += 1
        code = bytes[at] as number
      }
      let edge: Edge | undefined
      if (code === quote) {
        edge = edgeAt(bytes, name, at, node.byHash.get(hash))
        at += 1
      } else {
        at = Math.abs(skipText(bytes, name - 1))
        edge = node.byName.get(this.#escapedText(name - 1, at))
      }
      at = nextToken(bytes, at)
      if (bytes[at] !== colon) throw undecided
      at = nextToken(bytes, at + 1)
      if (edge === undefined) at = skipValue(bytes, at)
      else {
        if (edge.object === object) throw undecided
        edge.object = object
        at = this.#readValue(at, edge.node, place)
      }
      at = nextToken(bytes, at)
      if (bytes[at] === closeBrace) return at + 1
      if (bytes[at] !== comma) throw undecided
      at = nextToken(bytes, at + 1)
    }
  }

  #readValue(at: number, node: PathNode, place: Place): number {
    const bytes = this.#bytes
    const code = bytes[at]
    if (code === openBrace) {
      return node.edges.length > 0 ? this.#readObject(at, node, place) : skipNested(bytes, at)
    }
    if (code === openBracket) return this.#readArray(at, node, place)
    if (node.field === undefined) return skipValue(bytes, at)
    if (code !== quote) return this.#readPlain(at, node, place)
    const end = skipText(bytes, at)
    const text = end > 0 ? this.#slice(at + 1, end - 1) : this.#escapedText(at, -end)
    this.#reading.add(node.field, text, place)
    return Math.abs(end)
  }

  #readArray(from: number, node: PathNode, place: Place): number {
    checkNesting(place)
    const bytes = this.#bytes
    const id = this.#reading.arrays
    this.#reading.arrays += 1
    let at = nextToken(bytes, from + 1)
    if (bytes[at] === closeBracket) return at + 1
    for (let index = 0; ; index += 1) {
      const within = bytes[at] === openBrace || bytes[at] === openBracket
      at = nextToken(
        bytes,
        this.#readValue(at, node, within ? this.#reading.placeWithin(place, id, index) : place),
      )
      if (bytes[at] === closeBracket) return at + 1
      if (bytes[at] !== comma) throw undecided
      at = nextToken(bytes, at + 1)
    }
  }

  /** Reads true, false, null or a number. */
  #readPlain(at: number, { field }: PathNode, place: Place): number {
    const end = skipPlain(this.#bytes, at)
    if (field !== undefined) this.#reading.add(field, this.#plain(at, end), place)
    return end
  }

  #plain(from: number, to: number): number | LongNumber | boolean | null {
    const short = shortNumber(this.#bytes, from, to)
    if (short !== undefined) return short
    const word = this.#slice(from, to)
    if (word === 'true') return true
    if (word === 'false') return false
    if (word === 'null') return null
    const number = readNumber(word)
    if (number === undefined) throw undecided
    return number
  }

  #slice(from: number, to: number): string {
    return this.#ascii === undefined ? this.#bytes.toString('utf8', from, to) : this.#ascii.slice(from, to)
  }

  #escapedText(from: number, to: number): string {
    try {
      return JSON.parse(this.#slice(from, to)) as string
    } catch {
      throw undecided
    }
  }
}

/** The edge whose name the bytes are. */
function edgeAt(
  bytes: Uint8Array,
  from: number,
  to: number,
  edges: readonly Edge[] | undefined,
): Edge | undefined {
  if (edges === undefined) return undefined
  for (const edge of edges) {
    const { utf8 } = edge
    let same = 0
    if (utf8.length !== to - from) continue
    while (same < utf8.length && utf8[same] === bytes[from + same]) same += 1
    if (same === utf8.length) return edge
  }
  return undefined
}

function skipValue(bytes: Uint8Array, at: number): number {
  const code = bytes[at]
  if (code === quote) return Math.abs(skipText(bytes, at))
  return code === openBrace || code === openBracket ? skipNested(bytes, at) : skipPlain(bytes, at)
}

/**
 * A number of at most 15 digits without an exponent: its digits and the power of ten are exact doubles, so dividing them gives
 * the double nearest to it. Undefined for everything else.
 */
function shortNumber(bytes: Uint8Array, from: number, to: number): number | undefined {
  const negative = bytes[from] === minus
  const first = negative ? from + 1 : from
  if (to - first > 16 || to === first) return undefined
  let digits = 0
  let pointAt = -1
  for (let at = first; at < to; at += 1) {
    const code = bytes[at] as number
    if (code === point && pointAt < 0) pointAt = at
    else if (code >= zero && code <= nine) digits = digits * 10 + (code - zero)
    else return undefined
  }
  const wholeDigits = (pointAt < 0 ? to : pointAt) - first
  const tooMany = pointAt < 0 && to - first > 15
  const badZero = wholeDigits > 1 && bytes[first] === zero
  if (tooMany || badZero || wholeDigits === 0 || pointAt === to - 1) return undefined
  const value = pointAt < 0 ? digits : digits / (powers[to - pointAt - 1] ?? 1)
  return negative ? -value : value
}

const powers = Array.from({ length: 17 }, (_, power) => 10 ** power)
