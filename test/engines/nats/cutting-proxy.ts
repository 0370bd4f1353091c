import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'

/** A message that a connection is to be cut at: by how its subject begins, before the server has it, before its answer comes back, or on its way from it. */
export interface Cut {
  readonly subject: string
  readonly when: 'before it is stored' | 'before it is acknowledged' | 'before it is delivered'
}

/** Stands between an engine and its server, and cuts the connection at a message when it is told to. */
export class CuttingProxy {
  /** Set it to cut once; it is unset when that has happened. */
  cut: Cut | undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  static async start(serverPort: number): Promise<CuttingProxy> {
    const server = createServer()
    const proxy = new CuttingProxy(server)
    server.on('connection', (client) => proxy.#join(client, createConnection(serverPort, '127.0.0.1')))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  /** The URL of a log by way of the proxy. */
  url(log: string): string {
    const address = this.#server.address()
    if (address === null || typeof address === 'string') throw new Error('the proxy does not listen')
    return `nats://127.0.0.1:${address.port}/${log}`
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
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
    let isAwaited = false
    client.on('data', (bytes) => {
      const isMeant = this.cut !== undefined && bytes.includes(`PUB ${this.cut.subject}`)
      if (isMeant && this.cut?.when === 'before it is stored') {
        this.cut = undefined
        return end()
      }
      if (isMeant) {
        this.cut = undefined
        isAwaited = true
      }
      server.write(bytes)
    })
    server.on('data', (bytes) => {
      const isCut = this.cut?.when === 'before it is delivered' && bytes.includes(`MSG ${this.cut.subject}`)
      if (isCut) {
        this.cut = undefined
        return end()
      }
      if (isAwaited && bytes.includes('"stream"')) end()
      else client.write(bytes)
    })
  }
}
