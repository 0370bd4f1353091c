import { isUtf8 } from 'node:buffer'
import { MillraceError, messageOf } from '../core/errors.ts'
import { JsonScanner } from './json-scanner.ts'
import { readNumber } from './long-number.ts'
import type { PathNode } from './path-tree.ts'
import { readParsed } from './read-parsed.ts'
import { Reading } from './reading.ts'

/** An event: JSON text, its UTF-8 bytes, or what `JSON.parse` makes of it. */
export type EventInput = string | Uint8Array | object

/** Reads one event after the other, whichever form it has. */
export class EventReader {
  readonly reading = new Reading()
  readonly #scanner = new JsonScanner(this.reading)

  /**
   * Reads the fields that patterns ask for. Throws `JSON_INVALID` for a text that is seen not to be JSON, and `EVENT_INVALID`
   * for what is no object.
   */
  read(event: EventInput, root: PathNode): void {
    this.reading.begin()
    if (typeof event === 'string') {
      if (!this.#scanner.readText(event, root)) this.#readAnew(event, root)
    } else if (event instanceof Uint8Array) {
      checkUtf8(event)
      if (!this.#scanner.readBytes(event, root)) this.#readAnew(textOf(event), root)
    } else readParsed(checkObject(event), root, this.reading)
  }

  #readAnew(text: string, root: PathNode): void {
    this.reading.begin()
    readParsed(checkObject(parseJson(text, exactNumbers)), root, this.reading)
  }
}

/** The object that an event is, read from its text where it is one. */
export function eventObject(event: EventInput): object {
  if (typeof event === 'string') return checkObject(parseJson(event))
  return checkObject(event instanceof Uint8Array ? parseJson(textOf(event)) : event)
}

function checkObject(event: unknown): object {
  if (typeof event === 'object' && event !== null && !Array.isArray(event)) return event
  const what = event === null ? 'null' : Array.isArray(event) ? 'a list' : `a ${typeof event}`
  throw new MillraceError('EVENT_INVALID', `An event is a JSON object, not ${what}.`)
}

type Reviver = (this: unknown, name: string, value: unknown, context: { readonly source?: string }) => unknown

const exactNumbers: Reviver = (_name, value, { source = '' }) =>
  typeof value === 'number' ? (readNumber(source) ?? value) : value

/** `JSON.parse`, where a number that no double is equal to can stay as it was written. */
export function parseJson(text: string, reviver?: Reviver): unknown {
  try {
    return JSON.parse(text, reviver as Parameters<typeof JSON.parse>[1])
  } catch (error) {
    throw new MillraceError('JSON_INVALID', `The text is not JSON: ${messageOf(error)}`, { cause: error })
  }
}

function checkUtf8(bytes: Uint8Array): void {
  if (!isUtf8(bytes)) throw new MillraceError('JSON_INVALID', 'The bytes are not UTF-8.')
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}
