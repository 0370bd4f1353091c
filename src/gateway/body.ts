import { MillraceError, messageOf } from '../core/errors.ts'

/** A media type with its parameters, all names in lower case. */
export interface MediaType {
  /** Such as `application/json`. */
  readonly essence: string
  readonly charset: string | undefined
}

/** Most requests have the type of the one before. */
let last: { readonly header: string; readonly type: MediaType } | undefined

/** Reads a `content-type`; undefined where there is none. */
export function parseMediaType(header: string | undefined): MediaType | undefined {
  if (header === undefined || header.trim() === '') return undefined
  if (last?.header !== header) last = { header, type: mediaTypeOf(header) }
  return last.type
}

function mediaTypeOf(header: string): MediaType {
  const [essence = '', ...parameters] = header.split(';')
  const charset = parameters
    .map((parameter) => /^\s*charset\s*=\s*"?([^"\s]+)"?\s*$/i.exec(parameter)?.[1])
    .find((found) => found !== undefined)
  return { essence: essence.trim().toLowerCase(), charset: charset?.toLowerCase() }
}

/** Whether a media type's content is JSON: its subtype is `json` or ends in `+json`. */
export function isJson(type: MediaType): boolean {
  return /\/(?:.+\+)?json$/.test(type.essence)
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Parses a body of UTF-8 JSON; `JSON_INVALID` with the line and column where they are known. */
export function parseJsonBody(body: Uint8Array, type: MediaType): unknown {
  if (type.charset !== undefined && type.charset !== 'utf-8' && type.charset !== 'us-ascii') {
    throw unsupportedContentType(`JSON is UTF-8; '${type.charset}' is not taken.`, 'Send the body as UTF-8.')
  }
  let text: string
  try {
    text = utf8.decode(body)
  } catch (error) {
    throw jsonInvalid('The body is not UTF-8.', 'body', error)
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw jsonInvalid(`The body is not JSON: ${messageOf(error)}.`, jsonPlace(messageOf(error), text), error)
  }
}

/** Decodes a body of text, by its charset, keeping every character. */
export function parseTextBody(body: Uint8Array, type: MediaType): string {
  const charset = type.charset ?? 'utf-8'
  const decoder = decoderOf(charset)
  try {
    return decoder.decode(body)
  } catch (error) {
    throw new MillraceError('REQUEST_INVALID', `The body is not text of the charset '${charset}'.`, {
      where: 'body',
      fix: 'Send it in the charset of its content type, or as `application/octet-stream`.',
      cause: error,
    })
  }
}

/** `CONTENT_TYPE_UNSUPPORTED`. */
export function unsupportedContentType(message: string, fix: string): MillraceError {
  return new MillraceError('CONTENT_TYPE_UNSUPPORTED', message, { where: 'header content-type', fix })
}

/** Throws `CONTENT_TYPE_UNSUPPORTED` for a compressed body, which would otherwise be taken for what it is not. */
export function checkContentEncoding(header: string | undefined): void {
  if (header === undefined || header.trim().toLowerCase() === 'identity') return
  throw new MillraceError('CONTENT_TYPE_UNSUPPORTED', `A body encoded as '${header}' is not taken.`, {
    where: 'header content-encoding',
    fix: 'Send the body without compression.',
  })
}

function decoderOf(charset: string): InstanceType<typeof TextDecoder> {
  try {
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true })
  } catch {
    throw unsupportedContentType(`The charset '${charset}' is not known.`, 'Send the body as UTF-8.')
  }
}

function jsonInvalid(message: string, where: string, cause: unknown): MillraceError {
  return new MillraceError('JSON_INVALID', message, {
    where,
    fix: 'Send valid JSON, encoded as UTF-8.',
    cause,
  })
}

/** The engine names the place of some errors in its message; the end of the text is known for those that lack more. */
function jsonPlace(message: string, text: string): string {
  const named = /line (\d+) column (\d+)/.exec(message)
  if (named !== null) return `body, line ${named[1]}, column ${named[2]}`
  if (!message.includes('end of JSON input')) return 'body'
  const lines = text.split('\n')
  return `body, line ${lines.length}, column ${(lines.at(-1) ?? '').length + 1}`
}
