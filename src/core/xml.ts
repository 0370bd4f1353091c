/** Events whose data is XML: kept as text, parsed where it is asked for, with entities refused. */
import { SaxesParser, type SaxesTagPlain } from 'saxes'
import { MillraceError, messageOf } from './errors.ts'
import { checkOptionNames, optionNames } from './options.ts'
import { type OutputOf, type Schema, validate } from './schema.ts'

/** How {@link parseXml} reads. Paths name elements from the root, such as `order/item`, and attributes, such as `order/@id`. */
export interface XmlOptions {
  /** Elements that are always arrays. Others are one only where they occur more than once in their parent. */
  readonly arrays?: readonly string[]
  /** Elements and attributes whose text is a number. Everything else stays text: nothing is guessed. */
  readonly numbers?: readonly string[]
  /** How deep elements may nest; 100 unless given. */
  readonly maxDepth?: number
  /** The most bytes of UTF-8 that a document may have; 1 MiB unless given. */
  readonly maxBytes?: number
}

const names = optionNames<XmlOptions>({ arrays: true, numbers: true, maxDepth: true, maxBytes: true })

/** What an element or an attribute became. */
export type XmlValue = string | number | XmlElement | readonly XmlValue[]

/** An element with attributes or elements in it: attributes by `@name`, elements by their names, text of its own as `#text`. */
export interface XmlElement {
  readonly [name: string]: XmlValue
}

/** A schema of XML text, made by {@link xml}. */
export interface XmlSchema<Output> extends Schema<string, string> {
  /** Parses and validates a document. Throws `XML_INVALID` or `DATA_INVALID`; `TypeError` where the schema is asynchronous. */
  parse(text: string): Output
}

/**
 * Parses an XML document, such as the data of an event of the type `application/xml`. The result has one member, the root.
 *
 * - An element without attributes and elements is its text, character for character; an empty one is `''`.
 * - Any other is an {@link XmlElement}. White space between elements is left out, and where text stands between elements
 *   is not kept. Names are as written, with their prefixes.
 * - Nothing outside the text is ever read. A document type is refused, so no entity can be declared: beside characters by
 *   number only `&lt;`, `&gt;`, `&amp;`, `&quot;` and `&apos;` are known.
 *
 * Throws `XML_INVALID` with the line and the column for what is not well-formed, has a document type, nests too deep, or
 * is no number where one is asked for; without them for what is too large. Throws `TypeError` for what is no string.
 */
export function parseXml(text: string, options: XmlOptions = {}): XmlElement {
  if (typeof text !== 'string')
    throw new TypeError(`parseXml: the document must be a string, not ${typeof text}`)
  checkOptionNames('parseXml', options, names)
  const { maxBytes = 1024 * 1024 } = options
  const bytes = Buffer.byteLength(text)
  if (bytes > maxBytes) {
    throw new MillraceError(
      'XML_INVALID',
      `The document has ${bytes} bytes; at most ${maxBytes} are taken.`,
      {
        fix: 'Send less, or raise `maxBytes`.',
      },
    )
  }
  return new DocumentReader(text, options).read()
}

/**
 * The schema of an event whose data is XML: `schema` is held to the parsed form, and the text is what is stored. `parse`
 * gives the parsed form to the event's key and to its handlers. A document that is not well-formed is `XML_INVALID`.
 */
export function xml<S extends Schema>(schema: S, options: XmlOptions = {}): XmlSchema<OutputOf<S>> {
  checkOptionNames('xml', options, names)
  const check = (value: unknown) => {
    if (typeof value !== 'string') return { issues: [{ message: 'must be XML, as text' }] }
    const result = schema['~standard'].validate(parseXml(value, options))
    const outcome = (settled: Awaited<typeof result>) => {
      return settled.issues === undefined ? { value } : { issues: settled.issues }
    }
    return result instanceof Promise ? result.then(outcome) : outcome(result)
  }
  return {
    '~standard': { version: 1, vendor: 'millrace', validate: check },
    parse(text) {
      const subject = { code: 'DATA_INVALID', what: 'The document', root: 'document' } as const
      const output = validate(schema, parseXml(text, options), subject)
      if (output instanceof Promise) throw new TypeError('xml: parse needs a schema that is not asynchronous')
      return output as OutputOf<S>
    },
  }
}

/** What the options say of a path, and of the paths below it. */
interface PathRules {
  readonly below: Map<string, PathRules>
  array: boolean
  number: boolean
}

/** An element that is being read. */
interface OpenElement {
  readonly name: string
  readonly rules: PathRules | undefined
  /** Without a prototype, so that every name is a name like any other. */
  readonly members: Record<string, XmlValue>
  empty: boolean
  hasElements: boolean
  text: string
}

class DocumentReader {
  readonly #text: string
  readonly #maxDepth: number
  readonly #parser = new SaxesParser()
  readonly #open: OpenElement[]
  /** Where the last thing before the document type ended. */
  #prologEnd = 0

  constructor(text: string, { arrays = [], numbers = [], maxDepth = 100 }: XmlOptions) {
    this.#text = text
    this.#maxDepth = maxDepth
    this.#open = [openElement('', rulesOf(arrays, numbers))]
    const behind = () => {
      this.#prologEnd = this.#parser.position
    }
    this.#parser.on('xmldecl', behind)
    this.#parser.on('comment', behind)
    this.#parser.on('processinginstruction', behind)
    this.#parser.on('doctype', () => this.#refuseDocumentType())
    this.#parser.on('opentag', (tag) => this.#begin(tag))
    this.#parser.on('closetag', () => this.#end())
    this.#parser.on('text', (text) => this.#addText(text))
    this.#parser.on('cdata', (text) => this.#addText(text))
  }

  read(): XmlElement {
    if (!this.#text.isWellFormed()) throw invalid('The document has invalid Unicode', undefined)
    try {
      this.#parser.write(this.#text).close()
    } catch (error) {
      if (error instanceof MillraceError) throw error
      const [, line, column, what] = /^(\d+):(\d+): (.*?)\.?$/s.exec(messageOf(error)) ?? []
      throw invalid(`The document is not XML: ${what ?? messageOf(error)}`, place(line, column), error)
    }
    return this.#open[0]?.members ?? {}
  }

  #begin({ name, attributes }: SaxesTagPlain): void {
    if (this.#open.length > this.#maxDepth) {
      throw invalid(`Elements nest deeper than ${this.#maxDepth} levels`, this.#here())
    }
    const element = openElement(name, this.#open.at(-1)?.rules?.below.get(name))
    for (const [attribute, text] of Object.entries(attributes)) {
      const member = `@${attribute}`
      element.members[member] = this.#valueOf(text, element.rules?.below.get(member))
      element.empty = false
    }
    this.#open.push(element)
  }

  #end(): void {
    const element = this.#open.pop()
    const parent = this.#open.at(-1)
    if (element === undefined || parent === undefined) return
    const { name, rules, members, text } = element
    parent.hasElements = true
    parent.empty = false
    const isBlank = element.hasElements ? text.trim() === '' : text === ''
    if (!element.empty && !isBlank) members['#text'] = this.#valueOf(text, rules)
    add(parent.members, name, element.empty ? this.#valueOf(text, rules) : members, rules?.array)
  }

  #addText(text: string): void {
    const element = this.#open.at(-1)
    if (element !== undefined && this.#open.length > 1) element.text += text
  }

  #valueOf(text: string, rules: PathRules | undefined): string | number {
    if (rules?.number !== true) return text
    const value = numberPattern.test(text) ? Number(text) : Number.NaN
    const isExact = /[.eE]/.test(text) ? Number.isFinite(value) : Number.isSafeInteger(value)
    if (isExact) return value
    throw invalid(`'${text.slice(0, 40)}' is no number`, this.#here())
  }

  #refuseDocumentType(): void {
    const before = this.#text.slice(0, this.#text.indexOf('<!DOCTYPE', this.#prologEnd)).split('\n')
    const at = place(before.length, (before.at(-1) ?? '').length + 1)
    throw invalid('A document type is not taken, since it can declare entities', at)
  }

  #here(): string {
    return place(this.#parser.line, this.#parser.column)
  }
}

const numberPattern = /^\s*[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?\s*$/

function openElement(name: string, rules: PathRules | undefined): OpenElement {
  return { name, rules, members: Object.create(null), empty: true, hasElements: false, text: '' }
}

function add(members: Record<string, XmlValue>, name: string, value: XmlValue, isArray = false): void {
  const known = members[name]
  if (Array.isArray(known)) known.push(value)
  else if (known !== undefined) members[name] = [known, value]
  else members[name] = isArray ? [value] : value
}

/** A tree rather than whole paths: a path is as long as all the names above it, and a document may repeat it often. */
function rulesOf(arrays: readonly string[], numbers: readonly string[]): PathRules {
  const root = newRules()
  const at = (path: string) => {
    let rules = root
    for (const name of path.split('/')) {
      const below = rules.below.get(name) ?? newRules()
      rules.below.set(name, below)
      rules = below
    }
    return rules
  }
  for (const path of arrays) at(path).array = true
  for (const path of numbers) at(path).number = true
  return root
}

function newRules(): PathRules {
  return { below: new Map(), array: false, number: false }
}

/** The parser counts the characters that it has taken: none of them is in a document of nothing. */
function place(line: string | number | undefined, column: string | number | undefined): string {
  return `line ${line}, column ${Math.max(1, Number(column))}`
}

function invalid(what: string, where: string | undefined, cause?: unknown): MillraceError {
  return new MillraceError('XML_INVALID', `${what}.`, {
    where,
    fix: 'Send a well-formed XML document without a document type.',
    cause,
  })
}
