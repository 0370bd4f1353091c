// Puts load on an HTTP server from a process of its own: so many connections, one request at a time on each.
import { connect, type Socket } from 'node:net'
import { sample } from './load.ts'

/** What the load is to be. */
export interface HttpLoad {
  readonly port: number
  readonly connections: number
  readonly seconds: number
  /** Events for each request: one as a CloudEvent by itself, more as a batch. */
  readonly batch: number
  readonly contentType: string
  /** What ids begin with. */
  readonly prefix: string
}

/** What it did, and which part of its core that took. */
export interface HttpLoadDone {
  readonly requests: number
  readonly elapsedMs: number
  readonly cpuShare: number
  readonly failed: string | undefined
}

async function run(load: HttpLoad): Promise<HttpLoadDone> {
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => connected(load.port)))
  const startedMs = performance.now()
  const startedCpu = process.cpuUsage()
  const untilMs = startedMs + load.seconds * 1000
  let requests = 0
  let failed: string | undefined
  const worker = async (socket: Socket) => {
    const answer = answers(socket)
    while (performance.now() < untilMs && failed === undefined) {
      socket.write(requestOf(load, requests++))
      const status = await answer()
      if (status !== '200' && status !== '202') failed = `answered ${status}`
    }
    socket.destroy()
  }
  await Promise.all(sockets.map(worker))
  const elapsedMs = performance.now() - startedMs
  const { user, system } = process.cpuUsage(startedCpu)
  return { requests, elapsedMs, cpuShare: (user + system) / 1000 / elapsedMs, failed }
}

function connected(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => resolve(socket))
    socket.once('error', reject)
  })
}

/** Gives the status of the next answer each time it is called; answers have a content-length. */
function answers(socket: Socket): () => Promise<string> {
  let received = ''
  let told: ((status: string) => void) | undefined
  socket.setEncoding('latin1')
  socket.on('data', (text: string) => {
    received += text
    const head = received.indexOf('\r\n\r\n')
    if (head < 0) return
    const length = Number(/content-length: (\d+)/i.exec(received)?.[1] ?? 0)
    if (received.length < head + 4 + length) return
    const status = received.slice(9, 12)
    received = received.slice(head + 4 + length)
    told?.(status)
  })
  socket.on('close', () => told?.('nothing'))
  return () =>
    new Promise((resolve) => {
      told = resolve
    })
}

function requestOf(load: HttpLoad, n: number): string {
  const events = Array.from({ length: load.batch }, (_, index) => eventOf(load, n * load.batch + index))
  const body = load.batch === 1 ? events[0] : `[${events.join(',')}]`
  return (
    `POST /events HTTP/1.1\r\nhost: 127.0.0.1:${load.port}\r\ncontent-type: ${load.contentType}\r\n` +
    `content-length: ${body?.length ?? 0}\r\n\r\n${body}`
  )
}

function eventOf(load: HttpLoad, n: number): string {
  const event = { specversion: '1.0', id: `${load.prefix}${n}`, source: 'bench', type: 'bench.measured' }
  return JSON.stringify({ ...event, data: sample(n) })
}

process.on('message', (load: HttpLoad) => {
  run(load).then(
    (done) => process.send?.(done),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`)
      process.exit(1)
    },
  )
})
