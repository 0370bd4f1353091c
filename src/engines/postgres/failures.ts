import { MillraceError, messageOf } from '../../core/errors.ts'
import { logMoved, type Move } from '../../log/moving.ts'
import type { Entry, Offset, Place } from '../../log/port.ts'

/** The connection to the server is gone, or none could be made: what was asked may or may not have been done. */
export class ConnectionLost extends Error {}

/** The server's error for a write of a log that was moved away; its message is the mark. */
export const movedCode = 'MR001'

/** A transaction that was rolled back because of others, and may simply be done again. */
const passing = new Set(['40001', '40P01', '55P03'])
/** The server goes down, comes up, or has ended this session. */
const unavailable = /^(08|57P0)|^(53300|25P03|25P04)$/

function codeOf(error: unknown): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' ? code : ''
}

/** Whether the server answered, with an error. Errors of the system have codes too, but no severity. */
function isAnswer(error: unknown): boolean {
  return typeof (error as { severity?: unknown }).severity === 'string'
}

/** Whether the connection failed, not the statement. */
export function isConnectionLost(error: unknown): boolean {
  if (error instanceof ConnectionLost) return true
  if (error instanceof MillraceError || error instanceof TypeError) return false
  return isAnswer(error) ? unavailable.test(codeOf(error)) : true
}

/** Whether the same transaction can succeed when it is done again. */
export function isPassing(error: unknown): boolean {
  return isAnswer(error) && passing.has(codeOf(error))
}

/** What a failure means to a user. */
export function toMillraceError(error: unknown, where: string): Error {
  if (error instanceof MillraceError || error instanceof TypeError) return error
  if (isConnectionLost(error)) return unreachable(where, error)
  if (codeOf(error) === movedCode) return logMoved(where, JSON.parse(messageOf(error)) as Move)
  if (codeOf(error) === '53100') {
    return new MillraceError('LOG_FULL', 'The disk of the database is full.', {
      where,
      fix: 'Make room on the disk of the server, or bound what is kept with a retention.',
      cause: error,
    })
  }
  return storageFailed(where, error)
}

/** The server cannot be reached. */
export function unreachable(where: string, cause: unknown): MillraceError {
  return new MillraceError('UNREACHABLE', `The database cannot be reached: ${messageOf(cause)}`, {
    where,
    fix: 'Check that the server runs and that the URL of the log names it; work goes on by itself when it is back.',
    cause,
  })
}

/** The connection was lost while a transaction was being committed, and the server stays away. */
export function outcomeUnknown(where: string, cause: unknown): MillraceError {
  return new MillraceError(
    'UNREACHABLE',
    'The connection to the database was lost during a commit, and it could not be found out whether it holds.',
    {
      where,
      fix: 'Publish again with the same id: what is stored already is not stored twice.',
      facts: { outcome: 'unknown' },
      cause,
    },
  )
}

/** The server refused a statement. */
export function storageFailed(where: string, cause: unknown): MillraceError {
  return new MillraceError('STORAGE_FAILED', `The database refused: ${messageOf(cause)}`, {
    where,
    fix: "Check the server's log, the rights of the role, and the disk.",
    cause,
  })
}

/** The connection leads through something that shares sessions between clients. */
export function sessionRequired(where: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'SESSION_REQUIRED',
    'Notifications of the database do not arrive: there is a connection pooler between, which shares sessions.',
    {
      where,
      fix: 'Name the server itself, or a port of the pooler that gives each connection a session of its own.',
      cause,
    },
  )
}

/** The log has reached its `maxBytes`. */
export function boundReached(where: string, maxBytes: number): MillraceError {
  return new MillraceError('LOG_FULL', `The log has reached its bound of ${maxBytes} bytes.`, {
    where,
    fix: 'Raise maxBytes, shorten the retention, or let the handlers that are behind catch up.',
    facts: { maxBytes },
  })
}

/** Too much waits to be written. */
export function overloaded(where: string): MillraceError {
  return new MillraceError('OVERLOADED', 'Too much waits to be written to the database.', {
    where,
    fix: 'Try again later, or publish more slowly.',
  })
}

/** There is no such topic. */
export function topicUnknown(name: string): MillraceError {
  return new MillraceError('TOPIC_UNKNOWN', `There is no topic '${name}'.`, {
    where: name,
    fix: 'Create the topic first, or check its name.',
    facts: { topic: name },
  })
}

/** The engine was closed. */
export function logClosed(where: string): MillraceError {
  return new MillraceError('LOG_CLOSED', 'The log is closed.', { where, fix: 'Open it again.' })
}

/** A stored record does not match its checksum. */
export function recordCorrupt(at: Place, offset: Offset): MillraceError {
  return new MillraceError('RECORD_CORRUPT', 'A stored record does not match its checksum.', {
    where: `${at.topic}/${at.partition}@${offset}`,
    fix: `Read on at offset ${offset + 1}; restore the record from a backup if there is one.`,
    facts: { topic: at.topic, partition: at.partition, offset },
  })
}

/** A read asked for what was trimmed. */
export function offsetTrimmed(at: Place, from: Offset, start: Offset): MillraceError {
  return new MillraceError(
    'OFFSET_TRIMMED',
    `Records below offset ${start} of this place were removed; ${from} was asked for.`,
    {
      where: `${at.topic}/${at.partition}@${from}`,
      fix: `Read from offset ${start}.`,
      facts: { topic: at.topic, partition: at.partition, offset: from, start },
    },
  )
}

/** An id stands for other content already. */
export function idReused(entry: Entry): MillraceError {
  return new MillraceError(
    'ID_REUSED',
    'An event with this source and id was published with other content.',
    {
      where: `${entry.topic}/${entry.partition}`,
      fix: 'Give every event an id of its own; publish again under the same id only what is the same.',
      facts: { topic: entry.topic, deduplicationId: entry.deduplicationId },
    },
  )
}

/** One call brings too much. */
export function tooLarge(bytes: number, maxBytes: number): MillraceError {
  return new MillraceError(
    'COMMIT_TOO_LARGE',
    `One step has at most ${maxBytes} bytes; this one has ${bytes}.`,
    {
      fix: 'Append or commit less at a time.',
      facts: { bytes, maxBytes },
    },
  )
}

/** The claim on a partition is over. */
export function notOwner(
  { group, partition, epoch }: { readonly group: string; readonly partition: number; readonly epoch: number },
  cause?: unknown,
): MillraceError {
  return new MillraceError(
    'NOT_OWNER',
    `Epoch ${epoch} of partition ${partition} is no longer the current one.`,
    {
      where: `${group}/${partition}`,
      fix: 'Go on with the next claim that the listener is given; its owner sees all that was committed.',
      facts: { group, partition, epoch },
      cause,
    },
  )
}
