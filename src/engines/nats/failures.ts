import { MillraceError, messageOf } from '../../core/errors.ts'
import type { Offset, Place } from '../../log/port.ts'

/** A server has answered that it cannot do what was asked. */
export class Refused extends Error {
  /** The number of the error among those of JetStream. */
  readonly number: number
  readonly status: number

  constructor(error: { readonly code: number; readonly err_code?: number; readonly description?: string }) {
    super(error.description ?? `status ${error.code}`)
    this.number = error.err_code ?? 0
    this.status = error.code
  }
}

/** Numbers of errors of JetStream. */
export const refusals = {
  notFound: 10037,
  consumerUnknown: 10014,
  streamUnknown: 10059,
  streamExists: 10058,
  subjectsOverlap: 10065,
  wrongLast: 10071,
  notEnabledForAccount: 10039,
  notEnabled: 10076,
  sameUnderWay: 10158,
} as const

/** The limits of a stream, an account or a server are reached. */
const full = new Set([10002, 10023, 10028, 10047, 10077, 10122])
/** A stream is between two leaders, or the servers are; or what was sent before, behind the same message, is under way (10164, from 2.11 on). */
const passing = new Set([10008, 10009, 10013, 10092, 10164])

/** What was asked was not answered. */
export class Unanswered extends Error {
  /** Whether nobody has heard it: then it was not done. Otherwise it may have been. */
  readonly isUnheard: boolean
  /** For how long an answer was waited for. */
  readonly waitedMs: number

  constructor(message: string, { isUnheard = false, waitedMs = 0 } = {}) {
    super(message)
    this.isUnheard = isUnheard
    this.waitedMs = waitedMs
  }
}

/**
 * A message was answered by what was sent before: the same is under way already, and may be stored soon, or never. Some leaders never
 * give that up: see `Connection.bridge`.
 */
export class UnderWay extends Unanswered {
  readonly stream: string

  constructor(stream: string) {
    super('the same message is under way')
    this.stream = stream
  }
}

/** Whether a call failed because servers do not answer now, and may soon. */
export function isAway(error: unknown): boolean {
  if (error instanceof Refused)
    return passing.has(error.number) || (error.status === 503 && error.number === 0)
  return error instanceof Unanswered || isOfClient(error)
}

/** For so long the client library waits for an answer to what it asks itself. */
const libraryTimeoutMs = 5000

/** A failure of what the client library asks itself, as if the engine had asked; anything else stays what it is. */
export function ofLibrary(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, cause, code, status } = error as Error & { code?: unknown; status?: unknown }
  if (typeof code === 'number' && typeof status === 'number') {
    return new Refused({ code: status, err_code: code, description: message })
  }
  if (name === 'TimeoutError') {
    return new Unanswered('there was no answer in time', { waitedMs: libraryTimeoutMs })
  }
  // So it says that nobody has answered, which it takes for a server without JetStream.
  if (name === 'JetStreamNotEnabled' || name === 'RequestError')
    return cause === undefined ? error : ofLibrary(cause)
  if (name === 'NoResponders') return new Unanswered('nobody leads what was asked for', { isUnheard: true })
  return error
}

/** Whether nobody has heard what was asked. */
export function isUnheard(error: unknown): boolean {
  return error instanceof Unanswered && error.isUnheard
}

/** Whether the client library threw it, since the connection is closed or being closed. */
function isOfClient(error: unknown): boolean {
  const names = ['ClosedConnectionError', 'ConnectionError', 'DrainingConnectionError']
  return error instanceof Error && names.includes(error.name)
}

/** Whether a server refused with this number. */
export function isRefusal(error: unknown, number: number): boolean {
  return error instanceof Refused && error.number === number
}

/** Whether a server has no room. */
export function isFull(error: unknown): boolean {
  return error instanceof Refused && full.has(error.number)
}

/** What a failure of the servers means to a user; anything else stays what it is. */
export function toMillraceError(error: unknown, where: string): unknown {
  if (isFull(error)) return logFull(where, error)
  if (isRefusal(error, refusals.notEnabled) || isRefusal(error, refusals.notEnabledForAccount)) {
    return jetStreamMissing(where, error)
  }
  if (isAway(error)) return unreachable(where, error)
  if (!(error instanceof Refused)) return error
  return new MillraceError('STORAGE_FAILED', `JetStream refused: ${messageOf(error)}`, {
    where,
    fix: "Check the servers' log, and the rights and limits of the account.",
    cause: error,
  })
}

/** JetStream is not enabled. */
export function jetStreamMissing(where: string, cause?: unknown): MillraceError {
  return new MillraceError(
    'SERVER_UNSUPPORTED',
    'JetStream is not enabled on these servers, or not for this account.',
    {
      where,
      fix: "Start the servers with a 'jetstream' block in their configuration, and enable it for the account.",
      cause,
    },
  )
}

/** The servers cannot be reached, or do not agree on a leader. */
export function unreachable(where: string, cause: unknown): MillraceError {
  return new MillraceError('UNREACHABLE', `The NATS servers do not answer: ${messageOf(cause)}`, {
    where,
    fix: 'Check that most of the servers run and that the URL of the log names them; work goes on by itself when they are back.',
    cause,
  })
}

/** The servers were away for too long, and what was to be stored may be, or not. */
export function outcomeUnknown(where: string, cause: unknown): MillraceError {
  return new MillraceError(
    'UNREACHABLE',
    'The NATS servers did not say in time whether a record is stored.',
    {
      where,
      fix: 'Publish again with the same id: what is stored already is not stored twice.',
      facts: { outcome: 'unknown' },
      cause,
    },
  )
}

/** A bound is reached. */
export function logFull(where: string, cause: unknown): MillraceError {
  return new MillraceError('LOG_FULL', `JetStream has no room for more: ${messageOf(cause)}`, {
    where,
    fix: 'Raise maxBytes or the limits of the account, shorten the retention, or let the handlers that are behind catch up.',
    cause,
  })
}

/** Too much waits to be written. */
export function overloaded(where: string): MillraceError {
  return new MillraceError('OVERLOADED', 'Too much waits to be written to the NATS servers.', {
    where,
    fix: 'Try again later, or publish more slowly.',
  })
}

/** A record is larger than the servers take. */
export function tooLarge(sizeBytes: number, maxBytes: number): MillraceError {
  return new MillraceError(
    'EVENT_TOO_LARGE',
    `The NATS servers take events of at most ${maxBytes} bytes; this one has ${sizeBytes}.`,
    {
      fix: "Keep the large part elsewhere and publish a reference to it, or raise 'max_payload' of the servers.",
      facts: { sizeBytes, maxBytes },
    },
  )
}

/** A stored message is not what was stored. */
export function recordCorrupt(at: Place, offset: Offset): MillraceError {
  return new MillraceError('RECORD_CORRUPT', 'A stored record does not match its checksum.', {
    where: `${at.topic}/${at.partition}@${offset}`,
    fix: `Read on at offset ${offset + 1}; restore the record from a backup if there is one.`,
    facts: { topic: at.topic, partition: at.partition, offset },
  })
}

/** A stored object is not what was stored. */
export function objectCorrupt(where: string, name: string, cause: unknown): MillraceError {
  return new MillraceError('RECORD_CORRUPT', 'A checkpoint of a state does not match its digest.', {
    where: `${where} ${name}`,
    fix: 'Restore the log from a backup.',
    cause,
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
