/**
 * The registry of every error that Millrace reports on purpose. A code is stable across releases; a message is not.
 * `retryable` says whether the same call can succeed later with nothing changed by the caller; `status` is the HTTP
 * status that the gateway answers with. `docs/errors.md` has a heading for every code, and a test holds the two together.
 */
export const errorCodes = {
  ALREADY_PUBLISHED: { retryable: false, status: 409 },
  APPEND_INVALID: { retryable: false, status: 400 },
  APP_INVALID: { retryable: false, status: 500 },
  APP_LOAD_FAILED: { retryable: false, status: 500 },
  APP_UNAVAILABLE: { retryable: true, status: 503 },
  BACKUP_INVALID: { retryable: false, status: 400 },
  BODY_TOO_LARGE: { retryable: false, status: 413 },
  COMMAND_HANDLED_TWICE: { retryable: false, status: 500 },
  COMMAND_INVALID: { retryable: false, status: 400 },
  COMMAND_UNHANDLED: { retryable: false, status: 500 },
  COMMIT_TOO_LARGE: { retryable: false, status: 500 },
  CONTENT_TYPE_UNSUPPORTED: { retryable: false, status: 415 },
  CONTEXT_REVOKED: { retryable: false, status: 500 },
  CRON_INVALID: { retryable: false, status: 500 },
  CSV_INVALID: { retryable: false, status: 400 },
  DATA_INVALID: { retryable: false, status: 400 },
  DATA_NOT_STORABLE: { retryable: false, status: 400 },
  DEAD_LETTER_UNKNOWN: { retryable: false, status: 404 },
  ENGINE_CLIENT_MISSING: { retryable: false, status: 500 },
  ENGINE_UNKNOWN: { retryable: false, status: 500 },
  EVENT_INVALID: { retryable: false, status: 400 },
  EVENT_NOT_HANDLED: { retryable: false, status: 400 },
  EVENT_OF_STREAM: { retryable: false, status: 400 },
  EVENT_TOO_LARGE: { retryable: false, status: 413 },
  EVENT_TYPE_UNKNOWN: { retryable: false, status: 400 },
  EVENT_UNREADABLE: { retryable: false, status: 500 },
  FACT_INVALID: { retryable: false, status: 500 },
  FILE_UNREADABLE: { retryable: false, status: 400 },
  FOLDER_UNUSABLE: { retryable: false, status: 409 },
  FROM_REQUIRED: { retryable: false, status: 500 },
  HANDLER_FAILED: { retryable: false, status: 502 },
  HANDLER_NAME_TAKEN: { retryable: false, status: 500 },
  HANDLER_PRESENT: { retryable: false, status: 409 },
  HANDLER_STUCK: { retryable: true, status: 503 },
  HANDLER_TIMEOUT: { retryable: true, status: 504 },
  HANDLER_UNKNOWN: { retryable: false, status: 404 },
  HANDLER_VANISHED: { retryable: false, status: 500 },
  HOST_NOT_ALLOWED: { retryable: false, status: 403 },
  ID_REUSED: { retryable: false, status: 409 },
  IMPORT_UNFINISHED: { retryable: false, status: 503 },
  INTERNAL: { retryable: false, status: 500 },
  JSON_INVALID: { retryable: false, status: 400 },
  KEY_INVALID: { retryable: false, status: 400 },
  KEY_TOO_LONG: { retryable: false, status: 400 },
  LISTEN_FAILED: { retryable: false, status: 500 },
  LOGS_DIFFER: { retryable: false, status: 500 },
  LOG_CLOSED: { retryable: false, status: 503 },
  LOG_DAMAGED: { retryable: false, status: 500 },
  LOG_FULL: { retryable: true, status: 507 },
  LOG_IN_USE: { retryable: true, status: 503 },
  LOG_MOVED: { retryable: false, status: 410 },
  LOG_OCCUPIED: { retryable: false, status: 409 },
  LOG_UNKNOWN: { retryable: false, status: 404 },
  LOG_URL_INVALID: { retryable: false, status: 500 },
  LOOP_SUSPECTED: { retryable: false, status: 500 },
  METHOD_NOT_ALLOWED: { retryable: false, status: 405 },
  NAME_REPEATED: { retryable: false, status: 500 },
  NOT_FOUND: { retryable: false, status: 404 },
  NOT_OWNER: { retryable: true, status: 503 },
  OFFSET_TRIMMED: { retryable: false, status: 410 },
  OUTBOX_ABSENT: { retryable: false, status: 500 },
  OVERLOADED: { retryable: true, status: 429 },
  OWNER_UNREACHABLE: { retryable: true, status: 503 },
  PATTERN_INVALID: { retryable: false, status: 400 },
  PORT_IN_USE: { retryable: true, status: 500 },
  RECORD_CORRUPT: { retryable: false, status: 500 },
  REQUEST_INVALID: { retryable: false, status: 400 },
  RESULT_INVALID: { retryable: false, status: 500 },
  RESULT_UNKNOWN: { retryable: false, status: 404 },
  RULES_UNENDING: { retryable: false, status: 500 },
  RULE_INVALID: { retryable: false, status: 400 },
  RULE_UNKNOWN: { retryable: false, status: 404 },
  SERVER_UNSUPPORTED: { retryable: false, status: 500 },
  SESSION_REQUIRED: { retryable: false, status: 500 },
  SLOW_READER: { retryable: true, status: 503 },
  SOURCE_INVALID: { retryable: false, status: 500 },
  STATE_INVALID: { retryable: false, status: 500 },
  STORAGE_FAILED: { retryable: true, status: 503 },
  STREAM_UNKNOWN: { retryable: false, status: 404 },
  TERMINAL: { retryable: false, status: 500 },
  TOPIC_CONFLICT: { retryable: false, status: 409 },
  TOPIC_UNKNOWN: { retryable: false, status: 404 },
  TRANSACTION_INVALID: { retryable: false, status: 500 },
  UNREACHABLE: { retryable: true, status: 503 },
  VERSION_CONFLICT: { retryable: false, status: 409 },
  WAIT_TIMEOUT: { retryable: false, status: 504 },
  XML_INVALID: { retryable: false, status: 400 },
} as const satisfies Record<string, { readonly retryable: boolean; readonly status: number }>

/** A stable error code; see {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes

/** What a {@link MillraceError} can say beside its message. */
export interface ErrorDetails {
  /** Where it went wrong: a path in the data, a place in the log, a line of a file. */
  readonly where?: string | undefined
  /** What the reader can do about it, as an imperative sentence. */
  readonly fix?: string | undefined
  /** The error that caused this one; always kept. */
  readonly cause?: unknown
  /** Structured facts for programs, such as `{ topic, partition, offset }`. Never holds a secret. */
  readonly facts?: Readonly<Record<string, unknown>> | undefined
}

/** Every error that Millrace reports on purpose. Programs decide by `code`; people read `message`, `where` and `fix`. */
export class MillraceError extends Error {
  readonly code: ErrorCode
  readonly where: string | undefined
  readonly fix: string | undefined
  readonly facts: Readonly<Record<string, unknown>>

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'MillraceError'
    this.code = code
    this.where = details.where
    this.fix = details.fix
    this.facts = details.facts ?? {}
  }

  /** Whether the same call can succeed later with nothing changed by the caller. */
  get retryable(): boolean {
    return errorCodes[this.code].retryable
  }

  /** The HTTP status that stands for this error. */
  get status(): number {
    return errorCodes[this.code].status
  }
}

/** Thrown by a handler to say that trying again cannot help: the event goes to the dead letters at once. */
export class TerminalError extends MillraceError {
  constructor(message: string, details: ErrorDetails = {}) {
    super('TERMINAL', message, details)
    this.name = 'TerminalError'
  }
}

/** Whether `error` is a {@link MillraceError} and, where `code` is given, carries that code. */
export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code)
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof Error) return error.message
  try {
    return String(error)
  } catch {
    return 'a value that has no text'
  }
}
