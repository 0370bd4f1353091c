import type { RunningApp } from '../app/running.ts'
import { MillraceError, messageOf } from '../core/errors.ts'
import type { GatewayServer } from './server.ts'

/** A server that listens. */
export interface Listening {
  /** Where it is reached, such as `http://127.0.0.1:4400`. */
  readonly url: string
  readonly port: number
  /**
   * Asks its callers to go elsewhere, and still answers them: from now on every answer ends its connection, and on the
   * platform's port `/health/ready` says no. What shares requests out among instances has learned of it by the time of `close`.
   */
  beginClosing(): void
  /**
   * Takes no more connections and resolves once the requests in flight are answered; those that are not within
   * `drainMs` are cut off, and the signals of their handlers aborted. Closing twice is fine.
   */
  close(): Promise<void>
}

/** Where and how to listen. */
export interface ListenOptions {
  readonly running: RunningApp
  readonly host: string
  /** 0 lets the system choose a free one. */
  readonly port: number
  /** How long closing waits for requests in flight. */
  readonly drainMs: number
}

/** How long closing waits for requests in flight unless told otherwise. */
export const defaultDrainMs = 10_000

/** Begins to listen; `PORT_IN_USE` where another program does already, `LISTEN_FAILED` for any other cause. */
export async function listen(server: GatewayServer, options: ListenOptions): Promise<Listening> {
  const { host, port } = options
  try {
    await server.fastify.listen({ host, port })
  } catch (error) {
    await server.fastify.close()
    throw listenError(error, host, port)
  }
  const address = server.fastify.server.address()
  const bound = typeof address === 'object' && address !== null ? address.port : port
  let closed: Promise<void> | undefined
  return {
    url: `http://${urlHost(host)}:${bound}`,
    port: bound,
    beginClosing: () => server.room.beginClosing(),
    close() {
      closed ??= close(server, options)
      return closed
    },
  }
}

async function close(server: GatewayServer, options: ListenOptions): Promise<void> {
  server.room.beginClosing()
  const finished = server.fastify.close()
  const waiting = new AbortController()
  const late = options.running.runtime.sleep(options.drainMs, waiting.signal).then(
    () => true,
    () => false,
  )
  const timedOut = await Promise.race([finished.then(() => false), late])
  waiting.abort()
  if (timedOut) {
    server.room.cutOff()
    // Connections on which no request was ever sent are neither in the room nor closed as idle ones are.
    server.fastify.server.closeAllConnections()
  }
  await finished
}

/** Why a port cannot be had: `PORT_IN_USE` or `LISTEN_FAILED`. */
export function listenError(cause: unknown, host: string, port: number): MillraceError {
  const details = { where: `port ${port}`, cause, facts: { host, port } }
  if (cause instanceof Error && 'code' in cause && cause.code === 'EADDRINUSE') {
    return new MillraceError('PORT_IN_USE', `Port ${port} of ${host} is in use by another program.`, {
      ...details,
      fix: 'Stop the other program, or choose another port.',
    })
  }
  return new MillraceError(
    'LISTEN_FAILED',
    `Cannot listen on port ${port} of ${host}: ${messageOf(cause).replace(/\.+$/, '')}.`,
    {
      ...details,
      fix: 'Choose a host of this machine, and a port from 1024 to 65535.',
    },
  )
}

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
