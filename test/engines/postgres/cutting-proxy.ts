import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'

/** What becomes of the connection on which a writer writes next. `late` is that its engine is cut off, and the write comes later. */
export type Cut = 'before the commit' | 'after the commit' | 'late' | undefined

/** What a server ends each answer with when no transaction is open. */
const isReady = Buffer.from([0x5a, 0, 0, 0, 5, 0x49])

/** Stands between an engine and its server, and cuts a connection at a write when it is told to. */
export class CuttingProxy {
  /** Set it to cut one connection; it is unset when that has happened. */
  cut: Cut
  /** What happens before anybody can connect again after a cut. */
  whenCut: () => Promise<void> = async () => undefined
  /** After a cut with `late`: sends what was held back, and resolves when the server is done with it. */
  sendLate: () => Promise<void> = async () => undefined
  #cutting: Promise<void> = Promise.resolve()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(serverPort: number): Promise<CuttingProxy> {
    const server = createServer()
    const proxy = new CuttingProxy(server)
    server.on('connection', async (client) => {
      client.pause()
      await proxy.#cutting
      proxy.#join(client, createConnection(serverPort, '127.0.0.1'))
      client.resume()
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  /** The same log by way of the proxy. */
  through(url: string): string {
    const parsed = new URL(url)
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
    parsed.port = String(address.port)
    return parsed.href
  }

  /** Cuts every connection. */
  cutAll(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async close(): Promise<void> {
    this.cutAll()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #join(client: Socket, server: Socket): void {
    const end = () => {
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) {
      this.#sockets.add(socket)
      socket.on('error', end)
      socket.on('close', end)
    }
    let committing = false
    client.on('data', (bytes) => {
      // Only the writer has a statement of this name.
      const isCommit = this.cut !== undefined && bytes.includes('write\0')
      if (isCommit && this.cut === 'before the commit') {
        this.cut = undefined
        this.#cutting = this.whenCut()
        return end()
      }
      if (isCommit && this.cut === 'late') {
        this.cut = undefined
        client.off('close', end).destroy()
        server.removeAllListeners('data')
        this.sendLate = async () => {
          server.end(bytes)
          await once(server.resume(), 'close')
        }
        return
      }
      if (isCommit) {
        this.cut = undefined
        committing = true
      }
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      if (!committing) return void client.write(bytes)
      if (!bytes.includes(isReady)) return
      this.#cutting = this.whenCut()
      end()
    })
  }
}
