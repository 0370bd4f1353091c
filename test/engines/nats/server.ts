import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { connect } from '@nats-io/transport-node'
import { realRuntime } from '../../../src/core/real-runtime.ts'

const installer = fileURLToPath(new URL('../../../scripts/debian-packages.ts', import.meta.url))

/** The server's program; undefined where there is none. Debian puts it where only root looks. */
function findProgram(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin']
  return folders.map((folder) => join(folder, 'nats-server')).find((path) => existsSync(path))
}

function installProgram(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined
  spawnSync(process.execPath, [installer, 'nats-server'], { stdio: ['ignore', 'ignore', 'inherit'] })
  return findProgram()
}

const program = findProgram() ?? installProgram()

/** Whether a server can be started here. Says so loudly where not. */
export const hasNats = program !== undefined
if (!hasNats) console.error('SKIPPED: there is no nats-server here, and it could not be installed.')

/** What is written into the configuration of a server beside its ports and its folder. */
export interface NatsServerOptions {
  /** Lines of its configuration. */
  readonly configuration?: string
  readonly jetStream?: boolean
}

/** A NATS server of a test's own, in a temporary folder. */
export class NatsServer {
  readonly folder: string
  readonly port: number
  readonly name: string
  readonly #configuration: string
  #process: ChildProcess | undefined
  #logs = 0

  constructor(configuration: string, { folder, port, name }: { folder: string; port: number; name: string }) {
    this.folder = folder
    this.port = port
    this.name = name
    this.#configuration = configuration
  }

  /** Makes and starts one that is alone. */
  static async start({ configuration = '', jetStream = true }: NatsServerOptions = {}): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
    const port = await freePort()
    const store = jetStream ? `jetstream { store_dir: "${folder}" }` : ''
    const server = new NatsServer(`${store}\n${configuration}`, { folder, port, name: 'alone' })
    await server.run()
    return server
  }

  /** The URL of a log; each name is another log. */
  url(log = this.newLog()): string {
    return `nats://127.0.0.1:${this.port}/${log}`
  }

  newLog(): string {
    this.#logs += 1
    return `log-${this.#logs}`
  }

  /** Starts the server, also again after {@link stop} or {@link kill}. Resolves once it takes connections. */
  async run(): Promise<void> {
    const file = join(this.folder, 'server.conf')
    writeFileSync(
      file,
      `server_name: ${this.name}\nlisten: "127.0.0.1:${this.port}"\n${this.#configuration}\n`,
    )
    const child = spawn(program ?? '', ['--config', file], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#process = child
    const said: string[] = []
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line)
      if (!line.includes('Server is ready')) continue
      child.stderr.resume()
      return
    }
    throw new Error(`the server did not start: ${said.join('\n')}`)
  }

  /** Ends the server in order. */
  stop(): Promise<void> {
    return this.#end('SIGTERM')
  }

  kill(): Promise<void> {
    return this.#end('SIGKILL')
  }

  pause(): void {
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#process?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Three servers that are one cluster. */
export class NatsCluster {
  readonly servers: readonly NatsServer[]
  readonly folder: string
  #logs = 0

  private constructor(servers: readonly NatsServer[], folder: string) {
    this.servers = servers
    this.folder = folder
  }

  /** Starts them, and resolves once they have found one another and a leader. Clients know only those that they are told of. */
  static async start(): Promise<NatsCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
    const members = await Promise.all(
      ['one', 'two', 'three'].map(async (name) => ({
        name,
        port: await freePort(),
        clusterPort: await freePort(),
      })),
    )
    const routes = members.map(({ clusterPort }) => `"nats-route://127.0.0.1:${clusterPort}"`).join(', ')
    const servers = members.map(({ name, port, clusterPort }) => {
      const own = join(folder, name)
      mkdirSync(own)
      const configuration = `jetstream { store_dir: "${own}" }
        cluster { name: test, listen: "127.0.0.1:${clusterPort}", routes: [${routes}], no_advertise: true }`
      return new NatsServer(configuration, { folder: own, port, name })
    })
    await Promise.all(servers.map((server) => server.run()))
    const cluster = new NatsCluster(servers, folder)
    await cluster.ready()
    return cluster
  }

  /** The URL of a log; each name is another log. */
  url(log = this.newLog()): string {
    return `nats://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${log}`
  }

  newLog(): string {
    this.#logs += 1
    return `log-${this.#logs}`
  }

  /** Resolves once streams of three replicas can be made. */
  async ready(): Promise<void> {
    await this.#asking(async (ask) => {
      const config = {
        name: 'ready',
        subjects: ['ready'],
        num_replicas: this.servers.length,
        storage: 'memory',
      }
      while ((await ask('STREAM.CREATE.ready', config)).error !== undefined) await pause()
      await ask('STREAM.DELETE.ready')
    })
  }

  /** The server that leads a stream now, which has this name or one that goes on behind it. */
  async leaderOf(stream: string): Promise<NatsServer> {
    let leader: string | undefined
    await this.#asking(async (ask) => {
      while (leader === undefined) {
        const answered = (await ask('STREAM.NAMES')) as { streams?: readonly string[] | null }
        const streams = answered.streams ?? []
        const answer = await ask(`STREAM.INFO.${streams.find((name) => name.startsWith(stream))}`)
        leader = (answer as { cluster?: { leader?: string } }).cluster?.leader
        if (leader === undefined) await pause()
      }
    })
    return this.servers.find(({ name }) => name === leader) ?? this.#none(leader)
  }

  /** How many messages of each stream each server has, as a reader would be given them. */
  async messagesByServer(): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const found = new Map<string, Map<string, number>>()
    await this.#asking(async (ask) => {
      const { streams = [] } = (await ask('STREAM.NAMES')) as { streams?: string[] }
      for (const stream of streams) {
        const counts = new Map<string, number>()
        found.set(stream, counts)
        // A reader is given to any of the servers that have the stream.
        for (let reader = 0; reader < 40 && counts.size < this.servers.length; reader += 1) {
          const config = { ack_policy: 'none', mem_storage: true, num_replicas: 1, inactive_threshold: 1e9 }
          const made = await ask(`CONSUMER.CREATE.${stream}`, { stream_name: stream, config })
          const { cluster, num_pending } = made as { cluster?: { leader?: string }; num_pending?: number }
          if (cluster?.leader !== undefined && num_pending !== undefined)
            counts.set(cluster.leader, num_pending)
        }
      }
    })
    return found
  }

  async remove(): Promise<void> {
    await Promise.all(this.servers.map((server) => server.kill()))
    rmSync(this.folder, { recursive: true, force: true })
  }

  #none(leader: string | undefined): never {
    throw new Error(`there is no server '${leader}'`)
  }

  async #asking(
    use: (ask: (name: string, body?: object) => Promise<{ error?: unknown }>) => Promise<void>,
  ): Promise<void> {
    const client = await connect({
      servers: this.servers.map(({ port }) => `127.0.0.1:${port}`),
      maxReconnectAttempts: -1,
    })
    try {
      await use(async (name, body) => {
        try {
          const payload = body === undefined ? '' : JSON.stringify(body)
          return (await client.request(`$JS.API.${name}`, payload, { timeout: 5000 })).json()
        } catch (error) {
          return { error }
        }
      })
    } finally {
      await client.close()
    }
  }
}

/** A server that elects a leader says nothing until it has one. */
function pause(): Promise<void> {
  return realRuntime().sleep(50)
}

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}
