import { MillraceError } from '../core/errors.ts'

/** The parameters of a query string, by name. One that is not known or is given twice is `REQUEST_INVALID`. */
export function parameters<Name extends string>(
  query: unknown,
  names: readonly Name[],
): { readonly [Known in Name]?: string } {
  const found: Partial<Record<string, string>> = {}
  for (const [name, value] of Object.entries(query as Record<string, unknown>)) {
    if (!(names as readonly string[]).includes(name)) {
      throw requestInvalid(`There is no parameter '${name}' here.`, name, `Use: ${names.join(', ')}.`)
    }
    if (typeof value !== 'string')
      throw requestInvalid(`The parameter '${name}' is given twice.`, name, 'Give it once.')
    found[name] = value
  }
  return found as { readonly [Known in Name]?: string }
}

/** A parameter that must be given. */
export function required(value: string | undefined, name: string): string {
  if (value !== undefined && value !== '') return value
  throw requestInvalid(`The parameter '${name}' is missing.`, name, `Add '${name}=' to the URL.`)
}

/** A parameter that is an integer from `least` to `most`; `otherwise` where it is not given. */
export function integer(
  value: string | undefined,
  name: string,
  range: { readonly least: number; readonly most: number; readonly otherwise: number },
): number {
  if (value === undefined) return range.otherwise
  const number = /^\d{1,16}$/.test(value) ? Number(value) : Number.NaN
  if (number >= range.least && number <= range.most) return number
  throw requestInvalid(
    `The parameter '${name}' must be an integer from ${range.least} to ${range.most}, not '${value}'.`,
    name,
    'Send a number within these bounds.',
  )
}

function requestInvalid(message: string, name: string, fix: string): MillraceError {
  return new MillraceError('REQUEST_INVALID', message, { where: `query ${name}`, fix })
}
