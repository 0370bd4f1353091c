import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { isMillraceError } from '../../core/errors.ts'
import { listenError } from '../../gateway/listen.ts'
import { answerBrokenRequest } from '../../gateway/server.ts'
import { answerProblem, passOn, type Upstream } from './pass-on.ts'
import type { Traffic } from './traffic.ts'
import type { WaitingLine } from './waiting-line.ts'

/** What a held port works with. */
export interface HeldPortOptions<Target> {
  /** 0 lets the system choose a free one. */
  readonly port: number
  readonly line: WaitingLine<Target>
  readonly traffic: Traffic
  /** Which port of the application stands behind this one. */
  upstreamOf(target: Target): Upstream
}

/** A port that listens for as long as its supervisor runs, whichever version of the application answers. */
export interface HeldPort {
  readonly url: string
  /** Takes no more connections, and ends those that are open. */
  close(): Promise<void>
}

// As the ports of an application have it, so that clients meet the same.
const keepAliveTimeoutMs = 72_000
const host = '127.0.0.1'

/** Begins to listen; `PORT_IN_USE` and `LISTEN_FAILED` as for any port. */
export async function holdPort<Target>(options: HeldPortOptions<Target>): Promise<HeldPort> {
  const server = createServer({ keepAliveTimeout: keepAliveTimeoutMs }, (request, response) => {
    void take(request, response, options)
  })
  server.on('clientError', answerBrokenRequest)
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(listenError(error, host, options.port)))
    server.listen(options.port, host, resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  return {
    url: `http://${host}:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** Waits where it must, then passes the request on. Nothing of its body is read before. Never rejects. */
async function take<Target>(
  request: IncomingMessage,
  response: ServerResponse,
  { line, traffic, upstreamOf }: HeldPortOptions<Target>,
): Promise<void> {
  const { target } = line
  if (target !== undefined) return passOn(request, response, upstreamOf(target), traffic)
  const gone = new AbortController()
  const leave = () => gone.abort(new Error('The client has gone.'))
  response.once('close', leave)
  try {
    const upstream = upstreamOf(await line.enter(gone.signal))
    response.off('close', leave)
    passOn(request, response, upstream, traffic)
  } catch (error) {
    if (isMillraceError(error) && !gone.signal.aborted) answerProblem(response, error)
  }
}
