import type { Place } from './array-elements.ts'
import { readNumber } from './number-text.ts'
import { type Edge, nextHash, type PathNode } from './path-tree.ts'
import { checkNesting } from './read-parsed.ts'
import { nowhere, type Reading } from './reading.ts'

const [quote, backslash, comma, colon] = [34, 92, 44, 58]
const [openBrace, closeBrace, openBracket, closeBracket] = [123, 125, 91, 93]

/** Thrown for a text that only `JSON.parse` can judge: it is no JSON, or has a name twice in one object. */
const undecided = new Error('A text that the scanner does not read.')

/**
 * Reads the fields that patterns ask for straight from JSON text, and passes over all else without making anything of it:
 * what is passed over is checked for its quotes and brackets only.
 */
export class TextScanner {
  #text = ''
  #at = 0
  /** Numbers the objects of all texts, so that an edge knows whether this object was there already. */
  #objects = 0

  /** Reads an event; false where `JSON.parse` must judge the text. */
  read(text: string, root: PathNode, reading: Reading): boolean {
    this.#text = text
    this.#at = 0
    try {
      if (this.#next() !== openBrace) return false
      this.#readObject(root, nowhere, reading)
      this.#next()
      return this.#at === text.length
    } catch (error) {
      if (error === undecided) return false
      throw error
    } finally {
      this.#text = ''
    }
  }

  /** Passes over white space; the code that comes then, NaN at the end. */
  #next(): number {
    const text = this.#text
    let at = this.#at
    let code = text.charCodeAt(at)
    while (code === 32 || code === 10 || code === 13 || code === 9) {
      at += 1
      code = text.charCodeAt(at)
    }
    this.#at = at
    return code
  }

  #expect(code: number): void {
    if (this.#next() !== code) throw undecided
    this.#at += 1
  }

  #readObject(node: PathNode, place: Place, reading: Reading): void {
    this.#at += 1
    this.#objects += 1
    const object = this.#objects
    if (this.#next() === closeBrace) {
      this.#at += 1
      return
    }
    for (;;) {
      const edge = this.#readName(node)
      this.#expect(colon)
      const code = this.#next()
      if (edge === undefined) this.#skipValue(code)
      else {
        if (edge.object === object) throw undecided
        edge.object = object
        this.#readValue(code, edge.node, place, reading)
      }
      const after = this.#next()
      this.#at += 1
      if (after === closeBrace) return
      if (after !== comma) throw undecided
      this.#next()
    }
  }

  /** Reads a name; the edge that it stands for, if any pattern asks for it. */
  #readName(node: PathNode): Edge | undefined {
    const text = this.#text
    let at = this.#at
    if (text.charCodeAt(at) !== quote) throw undecided
    at += 1
    const from = at
    let hash = 0
    let code = text.charCodeAt(at)
    while (code !== quote) {
      // The end of the text gives NaN, which no comparison is true for.
      if (!(code >= 32) || code === backslash) return this.#readEscapedName(node)
      hash = nextHash(hash, code)
      at += 1
      code = text.charCodeAt(at)
    }
    this.#at = at + 1
    const edges = node.byHash.get(hash)
    if (edges === undefined) return undefined
    for (const edge of edges) {
      if (edge.name.length === at - from && text.startsWith(edge.name, from)) return edge
    }
    return undefined
  }

  #readEscapedName(node: PathNode): Edge | undefined {
    return node.byName.get(this.#readText())
  }

  #readValue(code: number, node: PathNode, place: Place, reading: Reading): void {
    if (code === openBrace) {
      if (node.edges.length > 0) this.#readObject(node, place, reading)
      else this.#skipNested()
    } else if (code === openBracket) this.#readArray(node, place, reading)
    else if (node.field === undefined) this.#skipValue(code)
    else if (code === quote) reading.add(node.field, this.#readText(), place)
    else reading.add(node.field, this.#readPlain(), place)
  }

  #readArray(node: PathNode, place: Place, reading: Reading): void {
    checkNesting(place)
    this.#at += 1
    const id = reading.arrays
    reading.arrays += 1
    if (this.#next() === closeBracket) {
      this.#at += 1
      return
    }
    for (let index = 0; ; index += 1) {
      const code = this.#next()
      const within = code === openBrace || code === openBracket
      this.#readValue(code, node, within ? [...place, id, index] : place, reading)
      const after = this.#next()
      this.#at += 1
      if (after === closeBracket) return
      if (after !== comma) throw undecided
    }
  }

  #readText(): string {
    const text = this.#text
    const from = this.#at + 1
    let at = from
    let code = text.charCodeAt(at)
    while (code !== quote) {
      if (code === backslash) return this.#readEscapedText(from - 1)
      if (!(code >= 32)) throw undecided
      at += 1
      code = text.charCodeAt(at)
    }
    this.#at = at + 1
    return text.slice(from, at)
  }

  #readEscapedText(from: number): string {
    this.#skipText()
    try {
      return JSON.parse(this.#text.slice(from, this.#at)) as string
    } catch {
      throw undecided
    }
  }

  /** Reads true, false, null or a number. */
  #readPlain(): (ReturnType<typeof readNumber> & {}) | boolean | null {
    const from = this.#at
    this.#skipPlain()
    const word = this.#text.slice(from, this.#at)
    if (word === 'true') return true
    if (word === 'false') return false
    if (word === 'null') return null
    const number = readNumber(word)
    if (number === undefined) throw undecided
    return number
  }

  #skipValue(code: number): void {
    if (code === quote) this.#skipText()
    else if (code === openBrace || code === openBracket) this.#skipNested()
    else this.#skipPlain()
  }

  #skipText(): void {
    const text = this.#text
    let at = this.#at + 1
    let code = text.charCodeAt(at)
    while (code !== quote) {
      if (!(code >= 32)) throw undecided
      at += code === backslash ? 2 : 1
      code = text.charCodeAt(at)
    }
    this.#at = at + 1
  }

  #skipPlain(): void {
    const text = this.#text
    const from = this.#at
    let at = from
    let code = text.charCodeAt(at)
    while (code > 32 && code !== comma && code !== closeBrace && code !== closeBracket) {
      at += 1
      code = text.charCodeAt(at)
    }
    if (at === from) throw undecided
    this.#at = at
  }

  /** Passes over an object or an array: counts brackets, outside of texts. */
  #skipNested(): void {
    const text = this.#text
    const { length } = text
    let depth = 0
    let at = this.#at
    for (; at < length; at += 1) {
      const code = text.charCodeAt(at)
      if (code === quote) {
        this.#at = at
        this.#skipText()
        at = this.#at - 1
      } else if (code > 90) {
        // Brackets and braces differ in one bit: 91 and 123 open, 93 and 125 close.
        const kind = code | 32
        if (kind === openBrace) depth += 1
        else if (kind === closeBrace) {
          depth -= 1
          if (depth === 0) {
            this.#at = at + 1
            return
          }
        }
      }
    }
    throw undecided
  }
}
