import { isRfc3339, parseCloudEvent } from '../../core/cloud-event.ts'
import { MillraceError, messageOf } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import type { Line } from './lines.ts'

/** How a line becomes an event. A line that is a CloudEvent already keeps its own attributes. */
export interface Mapping {
  readonly type?: string | undefined
  readonly source?: string | undefined
  readonly idField?: string | undefined
  readonly timeField?: string | undefined
  readonly subjectField?: string | undefined
  readonly keyField?: string | undefined
  /** The topic of all lines; that of the event type unless given. */
  readonly topic?: string | undefined
}

/** The source of events whose mapping gives none: not the file's name, so that a file can be moved and goes on. */
export const defaultSource = 'millrace-ingest'

/** What an event needs beside its line. */
export interface LineFacts {
  /** The id of an event whose line has none. */
  readonly id: string
  /** The time of an event whose line has none. */
  readonly nowMs: number
  readonly maxBytes: number
}

/** The event of a line. `EVENT_TOO_LARGE`, `JSON_INVALID` or `EVENT_INVALID` for one that has none. */
export function eventOf(line: Line, mapping: Mapping, facts: LineFacts): Event {
  if (line.problem !== undefined) throw line.problem
  if (line.totalBytes > facts.maxBytes) {
    throw new MillraceError(
      'EVENT_TOO_LARGE',
      `A line has at most ${facts.maxBytes} bytes; this one has ${line.totalBytes}.`,
      { fix: 'Keep the large part elsewhere, or raise --max-line-bytes.' },
    )
  }
  const value = parseJson(line.bytes)
  return isCloudEvent(value) ? complete(value, facts) : mapped(value, mapping, facts)
}

const decoder = new TextDecoder('utf-8', { fatal: true })

/** Parses JSON; `JSON_INVALID` with the column where it stops being JSON, where that is known. */
export function parseJson(bytes: Uint8Array): unknown {
  let text = ''
  try {
    text = decoder.decode(bytes)
    return JSON.parse(text)
  } catch (cause) {
    const message = cause instanceof SyntaxError ? messageOf(cause) : 'The bytes are not UTF-8'
    const [what] = message.split(/ (?:in JSON )?at position /)
    throw new MillraceError('JSON_INVALID', `This is not JSON: ${what}.`, {
      where: columnOf(message, text),
      fix: 'Correct it, or give JSON.',
      cause,
    })
  }
}

/** The parser tells the place of some errors; for others it quotes what is around it. */
function columnOf(message: string, text: string): string | undefined {
  const position = /at position (\d+)/.exec(message)?.[1]
  if (position !== undefined) return `column ${Number(position) + 1}`
  return message.includes('end of JSON input') && text !== '' ? `column ${text.length + 1}` : undefined
}

type Fields = Readonly<Record<string, unknown>>

function isCloudEvent(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && 'specversion' in value && 'type' in value
}

function complete(fields: Fields, facts: LineFacts): Event {
  const { source, id, time } = fields
  return checked({
    ...fields,
    source: source ?? defaultSource,
    id: id ?? facts.id,
    time: time ?? new Date(facts.nowMs).toISOString(),
  })
}

/** Checks the attributes here already: a refusal of one line by the log costs the whole batch another round. */
function checked(fields: Fields): Event {
  return parseCloudEvent(fields, '') as Event
}

function mapped(data: unknown, mapping: Mapping, facts: LineFacts): Event {
  if (mapping.type === undefined) {
    throw new MillraceError(
      'EVENT_INVALID',
      'The line is no CloudEvent, and no event type was given for it.',
      {
        fix: 'Name the event type with --type.',
      },
    )
  }
  const textAt = (path: string | undefined) => (path === undefined ? undefined : textOf(data, path))
  const subject = textAt(mapping.subjectField)
  const partitionkey = textAt(mapping.keyField)
  return checked({
    specversion: '1.0',
    id: textAt(mapping.idField) ?? facts.id,
    source: mapping.source ?? defaultSource,
    type: mapping.type,
    time:
      mapping.timeField === undefined ? new Date(facts.nowMs).toISOString() : timeOf(data, mapping.timeField),
    subject,
    partitionkey,
    data,
  })
}

/** The member that a path such as `user.id` names; one whose name is the whole path comes first. */
function fieldOf(data: unknown, path: string): unknown {
  if (typeof data === 'object' && data !== null && Object.hasOwn(data, path)) return (data as Fields)[path]
  let value = data
  for (const name of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Fields)[name]
  }
  return value
}

function textOf(data: unknown, path: string): string {
  const value = fieldOf(data, path)
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  throw invalid(path, 'must be a string or a number that is not empty')
}

/** A time as RFC 3339: text as it is, other dates and times taken as UTC where they name no zone, numbers since 1970. */
function timeOf(data: unknown, path: string): string {
  const value = fieldOf(data, path)
  if (typeof value === 'string' && isRfc3339(value)) return value
  const timeMs = typeof value === 'number' ? sinceEpoch(value) : parseTime(String(value))
  const time = new Date(timeMs)
  if (Number.isNaN(time.getTime())) {
    throw invalid(path, 'must be a date and time, or seconds or milliseconds since 1970')
  }
  return time.toISOString()
}

/** Below this a number is taken as seconds: in milliseconds it would be before 1973, in seconds it is after 5138. */
const firstMilliseconds = 1e11

function sinceEpoch(value: number): number {
  return Math.abs(value) < firstMilliseconds ? value * 1000 : value
}

function parseTime(text: string): number {
  const namesZone = /(?:Z|GMT|UTC)$/i.test(text) || /:\d\d(?:\.\d+)? ?[+-]\d\d:?\d\d$/.test(text)
  if (namesZone || /^\d{4}-\d\d-\d\d$/.test(text)) return Date.parse(text)
  return Date.parse(text.includes('T') ? `${text}Z` : `${text} UTC`)
}

function invalid(field: string, rule: string): MillraceError {
  return new MillraceError('EVENT_INVALID', `'${field}' ${rule}.`, {
    where: field,
    fix: 'Correct the line, or name another field.',
  })
}
