import type { IncomingHttpHeaders } from 'node:http'
import { parseAttributes, parseCloudEvent } from '../core/cloud-event.ts'
import { MillraceError } from '../core/errors.ts'
import type { IncomingEvent } from '../core/event.ts'
import { isXml } from '../core/xml-text.ts'
import {
  checkContentEncoding,
  isJson,
  type MediaType,
  parseJsonBody,
  parseMediaType,
  parseTextBody,
  unsupportedContentType,
} from './body.ts'

const structuredType = 'application/cloudevents+json'
const batchType = 'application/cloudevents-batch+json'
const prefix = 'ce-'

/** The headers of a request as the CloudEvents HTTP binding looks at them. */
export interface EventHeaders {
  readonly headers: IncomingHttpHeaders
  /** Every value of every header, so that one sent twice is seen; Node puts them together when they are asked for. */
  readonly headersDistinct: NodeJS.Dict<string[]>
}

/**
 * The events of a request, in each of the three modes of the CloudEvents HTTP binding: structured and batch by their
 * content types, binary by `ce-` headers.
 */
export function eventsOf(request: EventHeaders, body: Uint8Array): readonly IncomingEvent[] {
  checkContentEncoding(request.headers['content-encoding'])
  const type = parseMediaType(request.headers['content-type'])
  if (type?.essence === structuredType) return [parseCloudEvent(parseJsonBody(body, type), '')]
  if (type?.essence === batchType) return parseBatch(parseJsonBody(body, type))
  if (type?.essence.startsWith('application/cloudevents') === true) {
    throw unsupportedContentType(`'${type.essence}' is not taken.`, `Send ${structuredType} or ${batchType}.`)
  }
  if (!Object.keys(request.headers).some((name) => name.startsWith(prefix))) {
    const sent = type === undefined ? 'no content type' : `'${type.essence}'`
    throw unsupportedContentType(
      `A request with ${sent} and without ce- headers is no CloudEvent.`,
      `Send ${structuredType} or ${batchType}, or add the headers ce-specversion, ce-id, ce-source and ce-type.`,
    )
  }
  return [parseBinary(request, body, type)]
}

function parseBatch(batch: unknown): readonly IncomingEvent[] {
  if (!Array.isArray(batch)) {
    throw new MillraceError('EVENT_INVALID', 'A batch of CloudEvents must be a JSON array.', {
      where: 'body',
      fix: `Send an array, or one event as ${structuredType}.`,
    })
  }
  return batch.map((value, index) => parseCloudEvent(value, `[${index}]`))
}

function parseBinary(request: EventHeaders, body: Uint8Array, type: MediaType | undefined): IncomingEvent {
  // Without a prototype, so that a header named `ce-__proto__` is an attribute like any other, and refused.
  const attributes: Record<string, unknown> = Object.create(null)
  for (const [header, values] of Object.entries(request.headersDistinct)) {
    if (!header.startsWith(prefix) || values === undefined) continue
    attributes[header.slice(prefix.length)] = headerValue(header, values)
  }
  if (Object.hasOwn(attributes, 'datacontenttype')) {
    throw eventInvalid('The content type of the data is sent as content-type.', 'header ce-datacontenttype')
  }
  // Headers are text; these are the attributes that are kept as numbers.
  for (const name of ['hops', 'dataversion']) {
    if (/^\d+$/.test(String(attributes[name]))) attributes[name] = Number(attributes[name])
  }
  if (type !== undefined) attributes.datacontenttype = request.headers['content-type']
  const at = (name: string) =>
    name === 'datacontenttype' ? 'header content-type' : `header ${prefix}${name}`
  return { ...parseAttributes(attributes, at), data: binaryData(body, type) }
}

function binaryData(body: Uint8Array, type: MediaType | undefined): unknown {
  if (type === undefined) {
    if (body.length === 0) return undefined
    throw unsupportedContentType(
      'A body without a content type cannot be read.',
      'Send the content type of the data, such as application/json.',
    )
  }
  // An empty body is no JSON, so an event of a JSON type that has one has no data.
  if (isJson(type)) return body.length === 0 ? undefined : parseJsonBody(body, type)
  // The door decodes XML, which may name its encoding itself.
  if (isXml(type.essence)) return body.length === 0 ? undefined : new Uint8Array(body)
  if (type.essence.startsWith('text/')) return parseTextBody(body, type)
  return new Uint8Array(body)
}

/** One header's value, unquoted and percent-decoded once, as the HTTP binding asks. */
function headerValue(header: string, values: readonly string[]): string {
  const where = `header ${header}`
  const [value = '', second] = values
  if (second !== undefined) throw eventInvalid('An attribute is sent twice.', where)
  if (/[^\x20-\x7e]/.test(value)) {
    throw eventInvalid('A header has a character that is not printable ASCII; percent-encode it.', where)
  }
  const unquoted = value.replace(/"((?:[^"\\]|\\.)*)"/g, (_, inner: string) => inner.replace(/\\(.)/g, '$1'))
  try {
    return decodeURIComponent(unquoted)
  } catch (error) {
    throw eventInvalid('A header is not percent-encoded UTF-8; a plain % is written %25.', where, error)
  }
}

function eventInvalid(message: string, where: string, cause?: unknown): MillraceError {
  return new MillraceError('EVENT_INVALID', message, {
    where,
    fix: 'Send the event as the CloudEvents HTTP binding says, or in structured mode.',
    cause,
  })
}
