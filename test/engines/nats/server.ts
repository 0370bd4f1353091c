import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from '@nats-io/transport-node'
import { realRuntime } from '../../../src/core/real-runtime.ts'
import { freePort } from '../free-port.ts'
import { type NatsProgram, systemNats } from './programs.ts'

/** Whether a server can be started here. */
export const hasNats = systemNats() !== undefined

/** What is written into the configuration of a server beside its ports and its folder. */
export interface NatsServerOptions {
  /** Lines of its configuration. */
  readonly configuration?: string
  readonly jetStream?: boolean
  /** The machine's own unless given. */
  readonly program?: NatsProgram | undefined
}

/** A stream as a server has it, which may be behind the others. */
interface ReportedStream {
  readonly name: string
  readonly cluster?: { readonly leader?: string }
  readonly state: { readonly messages: number; readonly last_seq: number }
}

/** What a server says of itself. */
export interface ServerReport {
  /** The leader of the servers themselves. */
  readonly meta_cluster?: { readonly leader?: string }
  readonly account_details?: readonly { readonly stream_detail?: readonly ReportedStream[] }[]
}

/** A NATS server of a test's own, in a temporary folder. */
export class NatsServer {
  readonly folder: string
  readonly port: number
  readonly name: string
  readonly #monitoringPort: number | undefined
  readonly #configuration: string
  readonly #program: NatsProgram | undefined
  #isPaused = false
  #process: ChildProcess | undefined
  #logs = 0

  constructor(
    configuration: string,
    at: {
      readonly folder: string
      readonly port: number
      readonly name: string
      readonly monitoringPort?: number
      readonly program: NatsProgram | undefined
    },
  ) {
    this.folder = at.folder
    this.port = at.port
    this.name = at.name
    this.#monitoringPort = at.monitoringPort
    this.#program = at.program
    this.#configuration = configuration
  }

  /** Makes and starts one that is alone. */
  static async start({
    configuration = '',
    jetStream = true,
    program = systemNats(),
  }: NatsServerOptions = {}): Promise<NatsServer> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
    const port = await freePort()
    const store = jetStream ? `jetstream { store_dir: "${folder}" }` : ''
    const server = new NatsServer(`${store}\n${configuration}`, { folder, port, name: 'alone', program })
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
    const lines = [`server_name: ${this.name}`, `listen: "127.0.0.1:${this.port}"`, this.#configuration]
    if (this.#monitoringPort !== undefined) lines.push(`http: "127.0.0.1:${this.#monitoringPort}"`)
    writeFileSync(file, lines.join('\n'))
    const child = spawn(this.#program?.path ?? '', ['--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    this.#process = child
    const said: string[] = []
    for await (const line of createInterface({ input: child.stderr })) {
      said.push(line)
      if (!line.includes('Server is ready')) continue
      child.stderr.on('data', (chunk) => said.push(String(chunk))).resume()
      child.once('exit', () => {
        if (this.#process === child) console.error('a server has ended by itself:', said.slice(-5).join('\n'))
      })
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

  /** What it says of itself, as one that watches it is told. Undefined while it does not answer. */
  async report(): Promise<ServerReport | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#monitoringPort}/jsz?accounts=true&streams=true`)
      return (await answer.json()) as ServerReport
    } catch {
      return undefined
    }
  }

  /** Whether it does nothing, and takes connections all the same. */
  get isPaused(): boolean {
    return this.#isPaused
  }

  pause(): void {
    this.#isPaused = true
    this.#process?.kill('SIGSTOP')
  }

  resume(): void {
    this.#isPaused = false
    this.#process?.kill('SIGCONT')
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    this.#process = undefined
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }

  async remove(): Promise<void> {
    await this.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

const foundWithinMs = 45_000

/** Three servers that are one cluster. */
export class NatsCluster {
  readonly servers: readonly NatsServer[]
  readonly folder: string
  #logs = 0
  #isRemoved = false

  private constructor(servers: readonly NatsServer[], folder: string) {
    this.servers = servers
    this.folder = folder
  }

  /** Starts them, and resolves once they have found one another and a leader. Clients know only those that they are told of. */
  static async start(program = systemNats()): Promise<NatsCluster> {
    for (;;) {
      const cluster = await NatsCluster.#make(program)
      if (await cluster.#isReadyWithin(foundWithinMs)) return cluster
      // Where the leader is elected while one is just starting, servers of 2.10 take themselves for two, and never let it in.
      await cluster.remove()
    }
  }

  async #isReadyWithin(durationMs: number): Promise<boolean> {
    const found = new AbortController()
    const late = realRuntime()
      .sleep(durationMs, found.signal)
      .then(
        () => false,
        () => true,
      )
    const ready = this.ready().then(
      () => true,
      () => false,
    )
    const isReady = await Promise.race([ready, late])
    found.abort()
    return isReady
  }

  static async #make(program: NatsProgram | undefined): Promise<NatsCluster> {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-nats-'))
    const members = await Promise.all(
      ['one', 'two', 'three'].map(async (name) => ({
        name,
        port: await freePort(),
        clusterPort: await freePort(),
        monitoringPort: await freePort(),
      })),
    )
    const routes = members.map(({ clusterPort }) => `"nats-route://127.0.0.1:${clusterPort}"`).join(', ')
    const servers = members.map(({ clusterPort, ...member }) => {
      const own = join(folder, member.name)
      mkdirSync(own)
      const configuration = `jetstream { store_dir: "${own}" }
        cluster { name: test, listen: "127.0.0.1:${clusterPort}", routes: [${routes}], no_advertise: true }`
      return new NatsServer(configuration, { folder: own, program, ...member })
    })
    await Promise.all(servers.map((server) => server.run()))
    return new NatsCluster(servers, folder)
  }

  /** The URL of a log; each name is another log. */
  url(log = this.newLog()): string {
    return `nats://${this.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')}/${log}`
  }

  newLog(): string {
    this.#logs += 1
    return `log-${this.#logs}`
  }

  /**
   * Resolves once streams of three replicas can be made, and every server has what any of them had when that was so. Who ends
   * another server before ends two of three: 2.9 may then have no leader for half a minute, and loses what it has acknowledged.
   */
  async ready(): Promise<void> {
    await this.#asking(async (ask) => {
      const config = {
        name: 'ready',
        subjects: ['ready'],
        num_replicas: this.servers.length,
        storage: 'memory',
      }
      while ((await ask('STREAM.CREATE.ready', config)).error !== undefined) await this.#pause()
      await ask('STREAM.DELETE.ready')
    })
    const wanted = new Map<string, number>()
    for (const streams of await this.#streams()) {
      for (const { name, state } of streams) {
        if (name !== 'ready') wanted.set(name, Math.max(state.last_seq, wanted.get(name) ?? 0))
      }
    }
    while (!(await this.#haveCaughtUp(wanted))) await this.#pause()
  }

  async #haveCaughtUp(wanted: ReadonlyMap<string, number>): Promise<boolean> {
    const servers = await this.#streams()
    return [...wanted].every(([stream, last]) => {
      const replicas = servers.map((streams) => streams.find(({ name }) => name === stream))
      const leaders = new Set(replicas.map((replica) => replica?.cluster?.leader))
      const areBehind = replicas.some((replica) => replica === undefined || replica.state.last_seq < last)
      return leaders.size === 1 && !leaders.has(undefined) && !leaders.has('') && !areBehind
    })
  }

  /** The streams as each server has them, once all say so. */
  async #streams(): Promise<readonly (readonly ReportedStream[])[]> {
    for (;;) {
      const reports = await Promise.all(this.servers.map((server) => server.report()))
      const known = reports.filter((report) => report !== undefined)
      if (known.length === reports.length) {
        return known.map(({ account_details: accounts = [] }) => {
          return accounts.flatMap(({ stream_detail: streams = [] }) => streams)
        })
      }
      await this.#pause()
    }
  }

  /** A server that leads nothing: what it led has another leader now. */
  async follower(): Promise<NatsServer> {
    const report = await this.servers[0]?.report()
    const follower = this.servers.find(({ name }) => name !== report?.meta_cluster?.leader)
    if (follower === undefined) throw new Error('all servers lead')
    await this.#asking(async (ask) => {
      const { streams = [] } = (await ask('STREAM.NAMES')) as { streams?: readonly string[] }
      for (const stream of streams) {
        while ((await this.leaderOf(stream)) === follower) await ask(`STREAM.LEADER.STEPDOWN.${stream}`)
      }
    })
    return follower
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
        if (leader === undefined) await this.#pause()
      }
    })
    return this.servers.find(({ name }) => name === leader) ?? this.#none(leader)
  }

  /** Resolves once a stream has another leader than it had. */
  async leaves(stream: string, leader: NatsServer): Promise<void> {
    while ((await this.leaderOf(stream)) === leader) await this.#pause()
  }

  /** How many messages of each stream each server has. */
  async messagesByServer(): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
    const found = new Map<string, Map<string, number>>()
    for (const [index, streams] of (await this.#streams()).entries()) {
      for (const { name, state } of streams) {
        const counts = found.get(name) ?? new Map<string, number>()
        found.set(name, counts.set(this.servers[index]?.name ?? '', state.messages))
      }
    }
    return found
  }

  async remove(): Promise<void> {
    this.#isRemoved = true
    await Promise.all(this.servers.map((server) => server.kill()))
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** A server that elects a leader says nothing until it has one. */
  async #pause(): Promise<void> {
    if (this.#isRemoved) throw new Error('the servers were removed')
    await realRuntime().sleep(50)
  }

  #none(leader: string | undefined): never {
    throw new Error(`there is no server '${leader}'`)
  }

  async #asking(
    use: (ask: (name: string, body?: object) => Promise<{ error?: unknown }>) => Promise<void>,
  ): Promise<void> {
    const client = await connect({
      servers: this.servers.filter(({ isPaused }) => !isPaused).map(({ port }) => `127.0.0.1:${port}`),
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
