import { MillraceError, messageOf } from '../core/errors.ts'
import { readNumber } from './number-text.ts'
import type { PathNode } from './path-tree.ts'
import { readParsed } from './read-parsed.ts'
import type { Reading } from './reading.ts'
import { TextScanner } from './text-scanner.ts'

/** An event: JSON text, its UTF-8 bytes, or what `JSON.parse` makes of it. */
export type EventInput = string | Uint8Array | object

const scanner = new TextScanner()
const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the fields that patterns ask for. Throws `JSON_INVALID` for a text that is seen not to be JSON, and `EVENT_INVALID`
 * for what is no object.
 */
export function readEvent(event: EventInput, root: PathNode, reading: Reading): void {
  reading.begin()
  if (typeof event === 'string') readText(event, root, reading)
  else if (event instanceof Uint8Array) readText(decode(event), root, reading)
  else readParsed(checkObject(event), root, reading)
}

function readText(text: string, root: PathNode, reading: Reading): void {
  if (scanner.read(text, root, reading)) return
  reading.begin()
  readParsed(checkObject(parseJson(text, exactNumbers)), root, reading)
}

/** The object that an event is, read from its text where it is one. */
export function eventObject(event: EventInput): object {
  if (typeof event === 'string') return checkObject(parseJson(event))
  return checkObject(event instanceof Uint8Array ? parseJson(decode(event)) : event)
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

function decode(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes)
  } catch (error) {
    throw new MillraceError('JSON_INVALID', 'The bytes are not UTF-8.', { cause: error })
  }
}
