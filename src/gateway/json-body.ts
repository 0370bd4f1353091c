import type { FastifyRequest } from 'fastify'
import { MillraceError } from '../core/errors.ts'
import {
  checkContentEncoding,
  isJson,
  parseJsonBody,
  parseMediaType,
  unsupportedContentType,
} from './body.ts'

/** A request's body as a JSON object with no other members than these; `REQUEST_INVALID` for anything else. */
export function jsonBody(
  request: FastifyRequest,
  members: readonly string[],
): Readonly<Record<string, unknown>> {
  checkContentEncoding(request.headers['content-encoding'])
  const type = parseMediaType(request.headers['content-type'])
  if (type === undefined || !isJson(type))
    throw unsupportedContentType('What is to be done is said in JSON.', 'Send application/json.')
  const body = parseJsonBody(Buffer.isBuffer(request.body) ? request.body : new Uint8Array(), type)
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw bodyInvalid('The body must be a JSON object.', 'body', `an object with ${members.join(', ')}`)
  for (const name of Object.keys(body)) {
    if (!members.includes(name))
      throw bodyInvalid(`There is no member '${name}' here.`, name, members.join(', '))
  }
  return body as Readonly<Record<string, unknown>>
}

/** A member that is text and not empty; undefined where it is not given. */
export function textMember(body: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = body[name]
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  throw bodyInvalid(`'${name}' must be text.`, name, 'a string that is not empty')
}

/** A member that is true or false; false where it is not given. */
export function flagMember(body: Readonly<Record<string, unknown>>, name: string): boolean {
  const value = body[name] ?? false
  if (typeof value === 'boolean') return value
  throw bodyInvalid(`'${name}' must be true or false.`, name, 'true or false')
}

/** The error of a body that cannot be understood. */
export function bodyInvalid(message: string, name: string, use: string): MillraceError {
  return new MillraceError('REQUEST_INVALID', message, {
    where: name === 'body' ? 'body' : `body ${name}`,
    fix: `Send ${use}.`,
  })
}
