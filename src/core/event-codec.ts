import { MillraceError, messageOf } from './errors.ts'
import type { Event } from './event.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

/**
 * An event as it is stored: UTF-8 of the CloudEvents JSON format, bytes as `data_base64`.
 * Throws `DATA_NOT_STORABLE` with the path of the first part of `data` that JSON cannot carry.
 */
export function encodeEvent(event: Event): Uint8Array {
  return Buffer.from(eventToJson(event))
}

/** The CloudEvents JSON format of an event, as text. */
export function eventToJson(event: Event): string {
  const { data } = event
  if (data === undefined) return JSON.stringify(event)
  if (data instanceof Uint8Array) {
    const data_base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')
    return JSON.stringify({ ...event, data: undefined, data_base64 })
  }
  return checkStorable(data, 'data') ? JSON.stringify(event, keepNegativeZero) : JSON.stringify(event)
}

/** An event whose data came from {@link jsonCopy}, as {@link encodeEvent} encodes it: nothing of it is looked at again. */
export function encodeCopied(event: Event): Uint8Array {
  return Buffer.from(JSON.stringify(event))
}

/** What {@link jsonCopy} gives for what it cannot copy. */
export const notCopied: unique symbol = Symbol('not copied')

/**
 * A copy that is exactly what JSON gives back of `value`, frozen through and through: so it can stand for what was stored, without
 * being parsed. {@link notCopied} where JSON does not carry `value`, or only with care; bytes are among that.
 */
export function jsonCopy(value: unknown): unknown {
  return value === undefined ? undefined : copyOf(value, 0)
}

function copyOf(value: unknown, depth: number): unknown {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number') return Number.isFinite(value) && !Object.is(value, -0) ? value : notCopied
  if (typeof value !== 'object' || depth >= maxDepth) return notCopied
  return Array.isArray(value) ? copyOfArray(value, depth + 1) : copyOfObject(value, depth + 1)
}

function copyOfArray(array: readonly unknown[], depth: number): unknown {
  const copy: unknown[] = []
  for (let index = 0; index < array.length; index += 1) {
    const member = copyOf(array[index], depth)
    if (member === notCopied) return notCopied
    copy.push(member)
  }
  return Object.freeze(copy)
}

function copyOfObject(object: object, depth: number): unknown {
  if (!isPlain(object)) return notCopied
  const copy: Record<string, unknown> = {}
  for (const name of Object.keys(object)) {
    const content = (object as Record<string, unknown>)[name]
    if (content === undefined) continue
    const member = copyOf(content, depth)
    // Assigning to this name would set the prototype instead.
    if (member === notCopied || name === '__proto__') return notCopied
    copy[name] = member
  }
  return Object.freeze(copy)
}

/**
 * The event that {@link encodeEvent} made these bytes from, frozen through and through.
 * Throws `EVENT_INVALID` when they are not one.
 */
export function decodeEvent(stored: Uint8Array): Event {
  let parsed: Record<string, unknown>
  try {
    parsed = JSON.parse(decoder.decode(stored)) as Record<string, unknown>
  } catch (error) {
    throw new MillraceError('EVENT_INVALID', `A stored event is not JSON: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (
    typeof parsed !== 'object' ||
    parsed === null ||
    typeof parsed.id !== 'string' ||
    typeof parsed.type !== 'string'
  ) {
    throw new MillraceError('EVENT_INVALID', 'A stored event has no id or no type.')
  }
  if (typeof parsed.data_base64 === 'string') {
    const { data_base64, ...attributes } = parsed
    return Object.freeze({
      ...attributes,
      data: new Uint8Array(Buffer.from(data_base64 as string, 'base64')),
    }) as unknown as Event
  }
  return deepFreeze(parsed) as unknown as Event
}

/**
 * `value` as JSON text that gives it back unchanged. Throws `DATA_NOT_STORABLE` with the path of the first part that JSON
 * cannot carry; `path` names the value itself.
 */
export function storableJson(value: unknown, path: string): string {
  return checkStorable(value, path) ? JSON.stringify(value, keepNegativeZero) : JSON.stringify(value)
}

const maxDepth = 512

/**
 * Throws unless JSON carries `value` unchanged; returns whether it holds a negative zero, which needs care. Looks twice
 * at what cannot be carried: paths are only put together where one is to be told.
 */
function checkStorable(value: unknown, path: string): boolean {
  const found = storability(value, 0)
  if (found === 'not storable') explain(value, path, 0)
  return found === 'negative zero'
}

type Storability = 'storable' | 'negative zero' | 'not storable'

function storability(value: unknown, depth: number): Storability {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return 'storable'
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return 'not storable'
    return Object.is(value, -0) ? 'negative zero' : 'storable'
  }
  if (typeof value !== 'object' || depth >= maxDepth) return 'not storable'
  let whole: Storability = 'storable'
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const member = storability(value[index], depth + 1)
      if (member === 'not storable') return member
      if (member === 'negative zero') whole = member
    }
    return whole
  }
  if (!isPlain(value)) return 'not storable'
  for (const name of Object.keys(value)) {
    const content = (value as Record<string, unknown>)[name]
    if (content === undefined) continue
    const member = storability(content, depth + 1)
    if (member === 'not storable') return member
    if (member === 'negative zero') whole = member
  }
  return whole
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  const plain =
    prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null
  return plain && typeof (value as { toJSON?: unknown }).toJSON !== 'function'
}

/** Throws for the first part of `value` that JSON cannot carry. */
function explain(value: unknown, path: string, depth: number): void {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return
  if (typeof value === 'number') {
    if (Number.isFinite(value)) return
    throw notStorable(String(value), path)
  }
  if (typeof value !== 'object')
    throw notStorable(value === undefined ? 'undefined' : `a ${typeof value}`, path)
  if (depth >= maxDepth) throw notStorable(`nested deeper than ${maxDepth} levels`, path)
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1)
      explain(value[index], `${path}[${index}]`, depth + 1)
    return
  }
  if (!isPlain(value)) throw notStorable(`a ${value.constructor?.name ?? 'class instance'}`, path)
  for (const [name, member] of Object.entries(value)) {
    if (member !== undefined) explain(member, `${path}.${name}`, depth + 1)
  }
}

function notStorable(what: string, path: string): MillraceError {
  return new MillraceError('DATA_NOT_STORABLE', `Event data must be JSON, text or bytes; found ${what}.`, {
    where: path,
    fix: 'Let the schema turn it into a string or a number, for example a Date into its ISO text.',
  })
}

const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON

function keepNegativeZero(_name: string, value: unknown): unknown {
  return Object.is(value, -0) ? rawJson('-0') : value
}

function deepFreeze(value: object): object {
  for (const name in value) {
    const member = (value as Record<string, unknown>)[name]
    if (typeof member === 'object' && member !== null) deepFreeze(member)
  }
  return Object.freeze(value)
}
