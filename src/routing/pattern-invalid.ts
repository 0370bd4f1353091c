import { MillraceError } from '../core/errors.ts'

/** What an event pattern is refused with: `where` is the path of what is wrong, such as `data.amount[0].numeric`. */
export function patternInvalid(message: string, path: string, fix?: string): MillraceError {
  return new MillraceError('PATTERN_INVALID', message, { where: path === '' ? 'the pattern' : path, fix })
}

/** How a value that is not what a pattern needs is called in a message. */
export function described(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  if (typeof value === 'object') return 'an object'
  return typeof value === 'string' ? `'${value.slice(0, 60)}'` : String(value)
}
