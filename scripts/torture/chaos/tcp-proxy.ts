import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Stands between a process and a server, as the network does that fails. */
export class TcpProxy {
  readonly port: number
  readonly #serverPort: number
  readonly #pairs = new Set<readonly [Socket, Socket]>()
  /** Connections whose other side is gone without their being told. */
  readonly #orphans = new Set<Socket>()
  #server: Server | undefined
  #delayMs = 0
  #silent = false

  private constructor(server: Server, port: number, serverPort: number) {
    this.port = port
    this.#serverPort = serverPort
    this.#take(server)
  }

  static async start(serverPort: number): Promise<TcpProxy> {
    const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
    return new TcpProxy(server, address.port, serverPort)
  }

  /** Ends every connection, and refuses others. */
  cut(): void {
    this.#server?.close()
    this.#server = undefined
    this.#endAll()
  }

  /** Nothing arrives any more, in either direction, and nobody is told; others can connect, and hear nothing. */
  silence(): void {
    this.#silent = true
    for (const pair of this.#pairs) for (const socket of pair) socket.pause()
  }

  /** The server sees that the connections have ended, the process never does: it would have to notice by itself. */
  orphan(): void {
    for (const [client, server] of [...this.#pairs]) {
      client.removeAllListeners('data').removeAllListeners('close')
      client.on('data', () => {})
      server.removeAllListeners('close')
      server.destroy()
      this.#orphans.add(client)
    }
    this.#pairs.clear()
  }

  /** Everything arrives so much later. */
  delay(durationMs: number): void {
    this.#delayMs = durationMs
  }

  /** Lets through what is sent from now on, and what was held back. */
  async mend(): Promise<void> {
    this.#delayMs = 0
    this.#silent = false
    for (const pair of this.#pairs) for (const socket of pair) socket.resume()
    if (this.#server !== undefined) return
    const server = createServer({ pauseOnConnect: true }).listen(this.port, '127.0.0.1')
    await once(server, 'listening')
    this.#take(server)
  }

  async close(): Promise<void> {
    this.cut()
    for (const socket of this.#orphans) socket.destroy()
  }

  #take(server: Server): void {
    this.#server = server
    server.on('connection', (client) => this.#join(client, createConnection(this.#serverPort, '127.0.0.1')))
  }

  #join(client: Socket, server: Socket): void {
    const pair = [client, server] as const
    this.#pairs.add(pair)
    const end = () => {
      this.#pairs.delete(pair)
      client.destroy()
      server.destroy()
    }
    for (const [from, to] of [pair, [server, client] as const]) {
      from.setNoDelay(true)
      from.on('error', end).on('close', end)
      let passing: Promise<unknown> = Promise.resolve()
      from.on('data', (bytes) => {
        const dueMs = performance.now() + this.#delayMs
        passing = passing.then(() => untilMs(dueMs)).then(() => to.write(bytes))
      })
      if (this.#silent) from.pause()
      else from.resume()
    }
  }

  #endAll(): void {
    for (const pair of [...this.#pairs]) for (const socket of pair) socket.destroy()
    this.#pairs.clear()
  }
}

function untilMs(dueMs: number): Promise<void> | undefined {
  const leftMs = dueMs - performance.now()
  return leftMs > 0 ? sleep(leftMs) : undefined
}
