import { BlockList, isIP } from 'node:net'
import { MillraceError } from '../core/errors.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether a host name or address is this machine and nothing else. */
export function isLoopback(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase()
  if (bare === 'localhost' || bare.endsWith('.localhost')) return true
  const version = isIP(bare)
  return version !== 0 && loopback.check(bare, version === 6 ? 'ipv6' : 'ipv4')
}

/** Throws `HOST_NOT_ALLOWED` unless `host` is loopback. */
export function checkListenHost(host: string): void {
  if (isLoopback(host)) return
  throw new MillraceError(
    'HOST_NOT_ALLOWED',
    `The platform's port asks for no credentials, so it does not listen on '${host}'.`,
    { where: 'host', fix: 'Listen on 127.0.0.1, and put a proxy that authenticates in front of it.' },
  )
}

/** Most requests name the host as the one before did. */
let lastAllowed: string | undefined

/**
 * Throws `HOST_NOT_ALLOWED` unless a request was made to this machine by a name that is always this machine: a page of
 * another site whose own name is made to resolve to loopback would otherwise be let in by the browser.
 */
export function checkRequestHost(header: string | undefined): void {
  if (header !== undefined && header === lastAllowed) return
  const host = header?.replace(/:\d*$/, '') ?? ''
  if (isLoopback(host)) {
    lastAllowed = header
    return
  }
  throw new MillraceError('HOST_NOT_ALLOWED', `Requests for the host '${host}' are not answered here.`, {
    where: 'header host',
    fix: 'Use 127.0.0.1, [::1] or localhost in the URL; a proxy must send one of these as Host.',
  })
}
