import { join } from 'node:path'
import { KilledProcess } from '../killed-process.ts'
import type { Answer, Request } from '../messages.ts'
import { within } from '../out-of-time.ts'
import type { Cluster } from './cluster.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** What a fleet is made of. */
export interface FleetOptions {
  readonly size: number
  readonly seed: number
  readonly cluster: Cluster
  /** Where the journals are. */
  readonly folder: string
  onAnswer(member: FleetMember, answer: Answer): void
  onEnded(member: FleetMember): void
  /** What must not happen. */
  onProblem(problem: string): void
}

/** One of the processes, with its own way to every server. */
export interface FleetMember {
  readonly proxies: readonly TcpProxy[]
  process: KilledProcess | undefined
  /** Whether it takes events. */
  isReady: boolean
}

/** The processes of one application, which come and go. */
export class Fleet {
  readonly members: readonly FleetMember[]
  readonly #options: FleetOptions
  readonly #killed = new WeakSet<KilledProcess>()
  #incarnation = 0
  /** Resolve when the process of a member is ready, or has ended. */
  readonly #settled = new Map<FleetMember, () => void>()

  private constructor(options: FleetOptions, members: readonly FleetMember[]) {
    this.#options = options
    this.members = members
  }

  static async make(options: FleetOptions): Promise<Fleet> {
    const members = Array.from({ length: options.size }, async () => ({
      proxies: await Promise.all(options.cluster.ports.map((port) => TcpProxy.start(port))),
      process: undefined,
      isReady: false,
    }))
    return new Fleet(options, await Promise.all(members))
  }

  /** Every process that there was has one. */
  get journals(): readonly string[] {
    return Array.from({ length: this.#incarnation }, (_, index) => this.#journal(index + 1))
  }

  /** Starts the process of a member; resolves once it takes events. */
  async start(member: FleetMember): Promise<void> {
    const { cluster, seed, onAnswer } = this.#options
    this.#incarnation += 1
    const incarnation = this.#incarnation
    const log = cluster.url(member.proxies.map(({ port }) => port))
    const given = { log, journalFile: this.#journal(incarnation), seed, incarnation, tells: true }
    const started = new Promise<void>((resolve) => this.#settled.set(member, resolve))
    const process = new KilledProcess(given, (answer) => {
      if (member.process !== process) return
      if ('ready' in answer) this.#ready(member)
      onAnswer(member, answer)
    })
    member.process = process
    process.closed.then(
      () => this.#ended(member, process),
      () => {},
    )
    await started
  }

  /** As SIGKILL does. */
  async kill(member: FleetMember): Promise<void> {
    const { process } = member
    member.isReady = false
    if (process === undefined) return
    this.#killed.add(process)
    await process.kill()
  }

  /** Lets it end by itself. Rejects with `OutOfTime` where it does not. */
  async stop(member: FleetMember): Promise<void> {
    const { process } = member
    member.isReady = false
    if (process === undefined) return
    process.ask({ stop: true })
    await within(process.closed, () => 'a process that was told to stop to end')
  }

  ask(member: FleetMember, request: Request): void {
    member.process?.ask(request)
  }

  async close(): Promise<void> {
    for (const member of this.members) {
      await this.kill(member)
      for (const proxy of member.proxies) await proxy.close()
    }
  }

  #ready(member: FleetMember): void {
    member.isReady = true
    this.#settled.get(member)?.()
  }

  #ended(member: FleetMember, process: KilledProcess): void {
    if (process.hasFailed && !this.#killed.has(process))
      this.#options.onProblem(`a process ended: ${process.errors}`)
    if (member.process !== process) return
    member.isReady = false
    member.process = undefined
    this.#settled.get(member)?.()
    this.#options.onEnded(member)
  }

  #journal(incarnation: number): string {
    return join(this.#options.folder, `journal-${incarnation}`)
  }
}
