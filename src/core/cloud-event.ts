import { MillraceError } from './errors.ts'
import { checkKey, type IncomingEvent } from './event.ts'

/** The attributes of a CloudEvent: everything but its data. */
export type EventAttributeValues = Omit<IncomingEvent, 'data'>

/**
 * Checks a value of the CloudEvents 1.0 JSON format and gives the event: `data` as it is, `data_base64` as bytes, and
 * attributes that are null left out, as the format asks. Its data is not validated and a missing `time` stays missing;
 * both are for the door. `where` says where the value stands, such as `[3]`, and begins the path of every error; it
 * may be empty.
 *
 * Throws `EVENT_INVALID`, and `KEY_INVALID` or `KEY_TOO_LONG` for the partition key, with the path of what is wrong.
 */
export function parseCloudEvent(value: unknown, where: string): IncomingEvent {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(`A CloudEvent must be a JSON object, not ${describe(value)}.`, where || 'event')
  }
  const at = (name: string) => (where === '' ? name : `${where}.${name}`)
  const members = value as Readonly<Record<string, unknown>>
  const { data, data_base64: base64 } = members
  const checked = checkedAttributes(members, at, isAttribute)
  if (base64 === undefined) return Object.assign(checked, { data })
  if (data !== undefined) {
    throw invalid(
      "A CloudEvent has either 'data' or 'data_base64', not both.",
      at('data_base64'),
      'Send one of them.',
    )
  }
  return Object.assign(checked, { data: parseBase64(base64, at('data_base64')) })
}

function isAttribute(member: string): boolean {
  return member !== 'data' && member !== 'data_base64'
}

/**
 * Checks the attributes of a CloudEvent, required ones first; `at` names the place of one, for errors. Null and undefined
 * count as absent. Throws like {@link parseCloudEvent}.
 */
export function parseAttributes(
  attributes: Readonly<Record<string, unknown>>,
  at: (name: string) => string,
): EventAttributeValues {
  return checkedAttributes(attributes, at, () => true)
}

const requiredNames = ['specversion', 'id', 'source', 'type']

function checkedAttributes(
  attributes: Readonly<Record<string, unknown>>,
  at: (name: string) => string,
  counts: (name: string) => boolean,
): EventAttributeValues {
  for (const name of requiredNames) {
    if (attributes[name] === undefined || attributes[name] === null) {
      throw invalid(
        `The attribute '${name}' is missing.`,
        at(name),
        `Send '${name}'; CloudEvents requires it.`,
      )
    }
  }
  const checked: Record<string, unknown> = {}
  for (const name of Object.keys(attributes)) {
    const value = attributes[name]
    if (value === undefined || value === null || !counts(name)) continue
    checkAttribute(name, value, at(name))
    checked[name] = value
  }
  return checked as unknown as EventAttributeValues
}

/** Checks one attribute that is neither undefined nor null; throws like {@link parseCloudEvent}. */
export function checkAttribute(name: string, value: unknown, path: string): void {
  const check = known.get(name)
  if (check !== undefined) {
    check(name, value, path)
    return
  }
  checkName(name, path)
  checkExtension(name, value, path)
}

/** Whether `text` is an RFC 3339 time of a day and a moment that exist. */
export function isRfc3339(text: string): boolean {
  const fields = timePattern.exec(text)
  if (fields === null) return false
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = fields.slice(1, 7).map(Number)
  const [offsetHour = 0, offsetMinute = 0] = fields.slice(7, 9).map((field) => Number(field ?? 0))
  const dayExists = month >= 1 && month <= 12 && day >= 1 && day <= daysIn(year, month)
  // RFC 3339 writes a leap second as second 60.
  return dayExists && hour <= 23 && minute <= 59 && second <= 60 && offsetHour <= 23 && offsetMinute <= 59
}

type Check = (name: string, value: unknown, path: string) => unknown

const timePattern = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.\d+)?(?:[Zz]|[+-](\d\d):(\d\d))$/
const namePattern = /^[a-z0-9]+$/
const mediaTypePattern = /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+\s*(;.*)?$/
// No URI and no IRI has any of these characters.
const notInUri = /[\s<>"{}|\\^`]/u
const absoluteUri = /^[A-Za-z][A-Za-z0-9+.-]*:/
const notInText = /[\p{Cc}\p{Cs}\p{Noncharacter_Code_Point}]/u
const largestInteger = 2 ** 31 - 1

const known: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['specversion', checkSpecversion],
  ['id', checkText],
  ['source', checkUriReference],
  ['type', checkText],
  ['time', checkTime],
  ['subject', checkText],
  ['datacontenttype', checkMediaType],
  ['dataschema', checkUri],
  ['partitionkey', checkPartitionKey],
  ['correlationid', checkText],
  ['causationid', checkText],
  ['traceparent', checkText],
  ['hops', checkCount],
  ['dataversion', checkCount],
])

function checkName(name: string, path: string): void {
  if (name !== 'data' && namePattern.test(name)) return
  throw invalid(
    `'${name}' is no attribute name: CloudEvents allows lower-case letters and digits only.`,
    path,
    'Rename the attribute, or put it into the data.',
  )
}

function checkText(name: string, value: unknown, path: string): string {
  if (typeof value !== 'string') throw wrongType(name, 'a string', value, path)
  if (value === '')
    throw invalid(`The attribute '${name}' is empty.`, path, 'Leave it out, or give it a value.')
  checkCharacters(name, value, path)
  return value
}

function checkCharacters(name: string, value: string, path: string): void {
  if (!isPrintableAscii(value) && notInText.test(value)) {
    throw invalid(`The attribute '${name}' has a control character or invalid Unicode.`, path)
  }
}

/** What most text is, and found out faster than by a regular expression. */
function isPrintableAscii(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index)
    if (code < 0x20 || code > 0x7e) return false
  }
  return true
}

function checkSpecversion(_name: string, value: unknown, path: string): void {
  if (value === '1.0') return
  throw invalid(
    `Only CloudEvents of specversion '1.0' are taken, not ${typeof value === 'string' ? `'${value}'` : describe(value)}.`,
    path,
    `Send "specversion": "1.0".`,
  )
}

function checkUriReference(name: string, value: unknown, path: string): void {
  if (notInUri.test(checkText(name, value, path))) {
    throw invalid(
      `The attribute '${name}' has a space or another character that no URI reference has.`,
      path,
      'Percent-encode it, or use a plain name such as `/shop/checkout`.',
    )
  }
}

function checkUri(name: string, value: unknown, path: string): void {
  checkUriReference(name, value, path)
  if (!absoluteUri.test(value as string)) {
    throw invalid(
      `The attribute '${name}' must be an absolute URI.`,
      path,
      'Begin it with a scheme such as `https:`.',
    )
  }
}

function checkTime(name: string, value: unknown, path: string): void {
  if (!isRfc3339(checkText(name, value, path))) {
    throw invalid(
      `The attribute '${name}' must be an RFC 3339 time.`,
      path,
      'Send a time such as 2026-01-31T08:00:00Z.',
    )
  }
}

function checkMediaType(name: string, value: unknown, path: string): void {
  if (!mediaTypePattern.test(checkText(name, value, path))) {
    throw invalid(
      `The attribute '${name}' must be a media type.`,
      path,
      'Send one such as `application/json`.',
    )
  }
}

function checkPartitionKey(name: string, value: unknown, path: string): void {
  checkText(name, checkKey(value, path), path)
}

function checkCount(name: string, value: unknown, path: string): void {
  if (!isInteger(value) || value < 0) throw wrongType(name, 'an integer from 0 on', value, path)
}

function checkExtension(name: string, value: unknown, path: string): void {
  if (typeof value === 'boolean' || isInteger(value)) return
  if (typeof value !== 'string') throw wrongType(name, 'a string, a boolean or a 32-bit integer', value, path)
  checkCharacters(name, value, path)
}

function isInteger(value: unknown): value is number {
  return (
    Number.isInteger(value) && Math.abs(value as number) <= largestInteger + Number((value as number) < 0)
  )
}

/** Exactly what RFC 4648 writes: its alphabet, its padding and no stray bits, so that decoding loses nothing. */
function parseBase64(value: unknown, path: string): Uint8Array {
  if (typeof value !== 'string') throw wrongType('data_base64', 'a string', value, path)
  const bytes = Buffer.from(value, 'base64')
  if (bytes.toString('base64') !== value) {
    throw invalid(
      "'data_base64' is not base64.",
      path,
      'Use the standard alphabet with padding and no line breaks (RFC 4648, section 4).',
    )
  }
  return new Uint8Array(bytes)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

function wrongType(name: string, expected: string, value: unknown, path: string): MillraceError {
  return invalid(`'${name}' must be ${expected}, not ${describe(value)}.`, path)
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'number' ? `the number ${value}` : `a ${typeof value}`
}

function invalid(message: string, where: string, fix?: string): MillraceError {
  return new MillraceError('EVENT_INVALID', message, {
    where,
    fix: fix ?? 'Send a CloudEvent of version 1.0.',
  })
}
