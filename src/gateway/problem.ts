import { type ErrorCode, isMillraceError, MillraceError } from '../core/errors.ts'

/** The media type of problem details (RFC 9457). */
export const problemType = 'application/problem+json'

/** What an error is answered with: RFC 9457 problem details, with the members of a {@link MillraceError}. */
export interface Problem {
  /** `urn:millrace:error:` and the code: names the kind of problem, and is no address. */
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail: string
  readonly code: ErrorCode
  readonly where?: string
  readonly fix?: string
  readonly facts?: Readonly<Record<string, unknown>>
}

/** The problem details of an error, without the stacks that its facts may hold: those are for the log of the process. */
export function problemOf(error: MillraceError): Problem {
  const facts = withoutStacks(error.facts)
  return {
    type: `urn:millrace:error:${error.code}`,
    title: titleOf(error.code),
    status: error.status,
    detail: error.message,
    code: error.code,
    ...(error.where === undefined ? {} : { where: error.where }),
    ...(error.fix === undefined ? {} : { fix: error.fix }),
    ...(Object.keys(facts).length === 0 ? {} : { facts }),
  }
}

function withoutStacks(facts: MillraceError['facts']): Readonly<Record<string, unknown>> {
  return JSON.parse(JSON.stringify(facts, (name, value) => (name === 'stack' ? undefined : value)))
}

/** The seconds of `Retry-After` for a status that asks the caller to come back; undefined for others. */
export function retryAfterSeconds(status: number): number | undefined {
  if (status === 429 || status === 503) return 1
  // Room on a disk does not come back within a second.
  return status === 507 ? 30 : undefined
}

/**
 * What is told to the caller about anything that was thrown: errors that are reported on purpose as they are, those of
 * the HTTP server by their status, and of everything else nothing but that it happened.
 */
export function reportable(error: unknown, limits: { readonly maxBodyBytes: number }): MillraceError {
  if (isMillraceError(error)) return error
  const status = serverErrorStatus(error)
  if (status === 413) return bodyTooLarge(limits.maxBodyBytes)
  if (status === 415) return contentTypeMalformed(error)
  if (status !== undefined && status < 500) {
    return new MillraceError('REQUEST_INVALID', 'The request is not well formed.', {
      fix: 'Check its path, its headers and its length.',
      cause: error,
    })
  }
  return new MillraceError(
    'INTERNAL',
    'Something went wrong inside; the log of the process has the details.',
    {
      fix: 'Look into the log of the process.',
      cause: error,
    },
  )
}

/** `BODY_TOO_LARGE`. */
export function bodyTooLarge(maxBodyBytes: number): MillraceError {
  return new MillraceError('BODY_TOO_LARGE', `A body has at most ${maxBodyBytes} bytes here.`, {
    where: 'body',
    fix: 'Send less at once, for example fewer events in a batch.',
  })
}

function contentTypeMalformed(cause: unknown): MillraceError {
  return new MillraceError('CONTENT_TYPE_UNSUPPORTED', 'The content type is no media type.', {
    where: 'header content-type',
    fix: 'Send a media type such as `application/json`.',
    cause,
  })
}

function serverErrorStatus(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('statusCode' in error)) return undefined
  const fromServer = typeof error.code === 'string' && error.code.startsWith('FST_ERR_')
  return fromServer && typeof error.statusCode === 'number' ? error.statusCode : undefined
}

function titleOf(code: ErrorCode): string {
  const words = code.toLowerCase().replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}
