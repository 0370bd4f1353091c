import { MillraceError } from '../../core/errors.ts'

/** What a log's URL says. */
export interface Settings {
  /** The URL for the client library, without what is ours. It may hold a password. */
  readonly connectionString: string
  /** The PostgreSQL schema that holds the log. */
  readonly schema: string
  /** Names the log in errors, without a secret. */
  readonly where: string
}

const schemaPattern = /^[a-z_][a-z0-9_]{0,39}$/

/** Takes a URL apart: `postgres://user:password@host:port/database?schema=millrace`. `LOG_URL_INVALID` when it is none. */
export function readSettings(url: string): Settings {
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch (error) {
    throw invalid('It is no URL', error)
  }
  if (parsed.protocol !== 'postgres:' && parsed.protocol !== 'postgresql:')
    throw invalid('It names no database')
  const schema = parsed.searchParams.get('schema') ?? 'millrace'
  if (!schemaPattern.test(schema)) {
    throw invalid('Its schema must have lower-case letters, digits and _ only, at most 40 of them')
  }
  parsed.searchParams.delete('schema')
  const where = `postgres://${parsed.host}${parsed.pathname}?schema=${schema}`
  return { connectionString: parsed.href, schema, where }
}

function invalid(why: string, cause?: unknown): MillraceError {
  // The URL itself may hold a password, so it is not repeated.
  return new MillraceError('LOG_URL_INVALID', `The URL of the log cannot be used. ${why}.`, {
    where: 'log',
    fix: "Name it by 'postgres://USER:PASSWORD@HOST:PORT/DATABASE', with '?schema=NAME' for another schema than millrace.",
    cause,
  })
}
