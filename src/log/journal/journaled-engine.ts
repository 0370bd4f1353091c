import { isMillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import { logClosed } from '../failures.ts'
import type {
  Appended,
  Batch,
  Bounds,
  Capabilities,
  ClaimListener,
  Entry,
  LogEngine,
  Member,
  Membership,
  Offset,
  Place,
  ReadLimits,
  Topic,
  TopicOptions,
  TrimLimits,
} from '../port.ts'
import type { StateStores } from '../state-store.ts'
import type { JournaledClaim } from './journaled-claim.ts'
import { JournaledMembership, type MembershipHost } from './journaled-membership.ts'
import type { LogServers } from './log-servers.ts'
import { Tenures } from './tenures.ts'

/** Options of {@link JournaledEngine}. */
export interface JournaledOptions {
  readonly servers: LogServers
  /** Where the states of the claims are kept on this machine. Closed with the engine. */
  readonly stores: StateStores
  readonly runtime: Runtime
  /** How often a member of a group shows that it is there, in milliseconds; 1 second unless given. */
  readonly heartbeatMs?: number
  /** After so many heartbeats without a sign a member is taken for gone, and its claims are taken; 6 unless given. */
  readonly leaseHeartbeats?: number
  /**
   * A checkpoint of a claim's state is due after so many bytes of its journal, or as many as the last checkpoint had,
   * whichever is more; 8 MiB unless given. It bounds what a new owner reads.
   */
  readonly journalBytes?: number
}

/**
 * An engine over servers that have neither a commit over several places nor state of their own: a claim's commits are values
 * of a journal, and what they append follows. The protocol is in `log-servers.ts`.
 */
export class JournaledEngine implements LogEngine {
  readonly partitions: number
  readonly capabilities: Capabilities
  readonly #servers: LogServers
  readonly #stores: StateStores
  readonly #host: MembershipHost
  readonly #topics = new Set<string>()
  readonly #memberships = new Set<JournaledMembership>()
  readonly #running = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(options: JournaledOptions) {
    const { servers, stores, runtime } = options
    this.#servers = servers
    this.#stores = stores
    this.partitions = servers.partitions
    this.capabilities = Object.freeze({ ...servers.capabilities, atomicCommit: false, fencedReads: false })
    this.#host = {
      servers,
      stores,
      runtime,
      tenures: new Tenures(),
      heartbeatMs: options.heartbeatMs ?? 1_000,
      leaseHeartbeats: options.leaseHeartbeats ?? 6,
      journalBytes: options.journalBytes ?? 8 * 1024 * 1024,
      begin: (call) => this.#begin(call),
      hasTopic: (name) => this.#hasTopic(name),
      ended: (claim, error) => this.#ended(claim, error),
      spawn: (name, task) => runtime.spawn(name, task),
    }
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#begin(() => this.#servers.createTopic(name, options))
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#begin(() => this.#servers.listTopics())
  }

  deleteTopic(name: string): Promise<void> {
    this.#topics.delete(name)
    return this.#begin(() => this.#servers.deleteTopic(name))
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#begin(() => this.#servers.bounds(at))
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#begin(() => this.#servers.offsetAt(at, timeMs))
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    return this.#begin(() => this.#servers.append(entries, signal))
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#begin(() => this.#servers.read(at, from, limits, signal))
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return this.#begin(() => {
      return this.#servers.changed(known, AbortSignal.any([signal, this.#closing.signal]))
    })
  }

  trim(at: Place, limits: TrimLimits): Promise<Offset> {
    return this.#begin(async () => {
      const needed = await this.#servers.neededAt(at)
      return this.#servers.trim(at, limits, needed ?? Number.POSITIVE_INFINITY)
    })
  }

  join(group: string, { id }: Member, listener: ClaimListener): Promise<Membership> {
    return this.#begin(async () => {
      if ([...this.#memberships].some((other) => other.group === group && other.memberId === id)) {
        throw new TypeError(`group '${group}' has a member '${id}' already; give each its own id`)
      }
      const membership = new JournaledMembership(group, id, listener, this.#host)
      this.#memberships.add(membership)
      try {
        await membership.enter()
      } catch (error) {
        this.#memberships.delete(membership)
        await membership.leave().catch(() => {})
        throw error
      }
      return {
        get renewal() {
          return membership.renewal
        },
        leave: () => this.#leave(membership),
      }
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  async #leave(membership: JournaledMembership): Promise<void> {
    await membership.leave()
    this.#memberships.delete(membership)
  }

  async #end(): Promise<void> {
    this.#closing.abort(logClosed())
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await Promise.allSettled([...this.#memberships].map((membership) => membership.leave()))
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await this.#servers.close()
    await this.#stores.close()
  }

  async #begin<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    this.#closing.signal.throwIfAborted()
    return this.#count(call())
  }

  async #count<Answer>(running: Promise<Answer>): Promise<Answer> {
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async #hasTopic(name: string): Promise<boolean> {
    if (this.#topics.has(name)) return true
    for (const topic of await this.#servers.listTopics()) this.#topics.add(topic.name)
    return this.#topics.has(name)
  }

  #ended(claim: JournaledClaim, error: unknown): void {
    // Somebody else has deleted one of them.
    if (isMillraceError(error, 'TOPIC_UNKNOWN')) this.#topics.clear()
    for (const membership of this.#memberships) membership.ended(claim)
  }
}
