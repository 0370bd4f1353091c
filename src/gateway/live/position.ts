import { MillraceError } from '../../core/errors.ts'
import type { Offset } from '../../log/port.ts'

/** Where to read on: for each topic, an offset of each of its partitions, by their numbers. */
export type Position = ReadonlyMap<string, readonly Offset[]>

/** A position has at most this many places, because it must fit into a header of a request. */
export const maxPlaces = 1024

const radix = 36

/** A position as text, such as `notes:0.3;shop:1a.0`: topics with the offsets of their partitions in base 36. */
export function formatPosition(position: Position): string {
  const topics = [...position].map(
    ([topic, offsets]) => `${topic}:${offsets.map((offset) => offset.toString(radix)).join('.')}`,
  )
  return topics.join(';')
}

/** The position that {@link formatPosition} made a text of; `REQUEST_INVALID` for any other text. */
export function parsePosition(text: string): Position {
  const position = new Map<string, readonly Offset[]>()
  for (const part of text === '' ? [] : text.split(';')) {
    const found = /^([\w.-]+):([0-9a-z]+(?:\.[0-9a-z]+)*)$/.exec(part)
    const offsets = (found?.[2] ?? '').split('.').map((digits) => Number.parseInt(digits, radix))
    if (found?.[1] === undefined || !offsets.every(Number.isSafeInteger)) throw positionInvalid(text)
    position.set(found[1], offsets)
  }
  return position
}

/** What a position that is not one of this log is refused with. */
export function positionInvalid(text: string): MillraceError {
  const shown = text.length <= 100 ? text : `${text.slice(0, 100)}…`
  return new MillraceError('REQUEST_INVALID', `'${shown}' is no position in this log.`, {
    where: 'header last-event-id',
    fix: 'Send the id of an event that this port has given, or none to begin with what comes next.',
  })
}
