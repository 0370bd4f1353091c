import { MillraceError } from '../../core/errors.ts'

/** What a log's URL says. */
export interface Settings {
  /** `host:port` of each server that is named. */
  readonly servers: readonly string[]
  /** The name of the log among those of the account. */
  readonly log: string
  readonly user?: string
  readonly password?: string
  readonly token?: string
  /** A file of credentials, as `nsc` makes it. */
  readonly credentials?: string
  /** A file with the seed of an nkey. */
  readonly nkey?: string
  /** Files of certificates, by what they are: `caFile`, `certFile`, `keyFile`. Present where TLS is asked for. */
  readonly tls?: Readonly<Record<string, string>>
  /** Names the log in errors, without a secret. */
  readonly where: string
}

const urlPattern = /^(nats|tls):\/\/([^/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/s
const namePattern = /^[A-Za-z0-9-]{1,32}$/
const tlsFiles: Readonly<Record<string, string>> = { ca: 'caFile', cert: 'certFile', key: 'keyFile' }

/**
 * Takes a URL apart: `nats://user:password@a:4222,b,c/NAME?credentials=FILE`. `tls://` and the files `ca`, `cert` and `key` ask
 * for TLS; a user without a password is a token. `LOG_URL_INVALID` when it is none.
 */
export function readSettings(url: string): Settings {
  const [, scheme, authority = '', path = '', query = ''] =
    urlPattern.exec(url) ?? invalid('It names no server')
  const log = path === '' ? 'millrace' : path
  if (!namePattern.test(log)) {
    invalid('The name of the log must have letters, digits and - only, at most 32 of them')
  }
  const at = authority.lastIndexOf('@')
  const logins = new Set<string>()
  const servers = authority.split(',').map((server) => {
    const split = server.lastIndexOf('@')
    if (split >= 0) logins.add(server.slice(0, split))
    const host = server.slice(split + 1)
    if (!/^(\[[0-9a-f:.]+\]|[^:[\]\s]+)(:\d{1,5})?$/i.test(host)) invalid('One of its servers is none')
    return host
  })
  if (logins.size > 1) invalid('All servers of a log take the same login')
  const parameters = new URLSearchParams(query)
  const files: Record<string, string> = {}
  for (const [name, value] of parameters) {
    const isKnown = name === 'credentials' || name === 'nkey' || name in tlsFiles
    if (!isKnown || value === '')
      invalid('It may be followed by credentials, nkey, ca, cert and key, each of them a file')
    files[name] = value
  }
  const tls = Object.entries(files).flatMap(([name, file]) => {
    const option = tlsFiles[name]
    return option === undefined ? [] : [[option, file] as const]
  })
  const isTls = scheme === 'tls' || tls.length > 0
  const { credentials, nkey } = files
  return {
    servers,
    log,
    ...(at < 0 ? {} : loginOf([...logins][0] ?? '')),
    ...(credentials === undefined ? {} : { credentials }),
    ...(nkey === undefined ? {} : { nkey }),
    ...(isTls ? { tls: Object.fromEntries(tls) } : {}),
    where: `${scheme}://${servers.join(',')}/${log}`,
  }
}

function loginOf(login: string): { user: string; password: string } | { token: string } {
  const colon = login.indexOf(':')
  try {
    if (colon < 0) return { token: decodeURIComponent(login) }
    return {
      user: decodeURIComponent(login.slice(0, colon)),
      password: decodeURIComponent(login.slice(colon + 1)),
    }
  } catch {
    return invalid('Its login is not encoded as URLs are')
  }
}

function invalid(why: string): never {
  // The URL itself may hold a password, so it is not repeated.
  throw new MillraceError('LOG_URL_INVALID', `The URL of the log cannot be used. ${why}.`, {
    where: 'log',
    fix: "Name it by 'nats://USER:PASSWORD@HOST:PORT,HOST:PORT/NAME'; without a NAME it is millrace.",
  })
}
