import type {
  ClaimName,
  ForwardedEntry,
  LogServers,
  MemberList,
  MemberSign,
  OriginMark,
} from '../../../src/log/journal/log-servers.ts'
import type { Entry, Offset, Place, ReadLimits, TopicOptions, TrimLimits } from '../../../src/log/port.ts'

/** The servers of one process, which can be made to hear nothing of the other members of its groups, and not to be heard by them. */
export class DeafServers implements LogServers {
  readonly #servers: LogServers
  readonly #closing = new AbortController()
  readonly #shown = new Map<string, readonly [group: string, sign: MemberSign]>()
  #isDeaf = false

  constructor(servers: LogServers) {
    this.#servers = servers
  }

  /** Takes the signs of this process away, and lets nothing of it and to it through from now on. */
  async loseSession(): Promise<void> {
    this.#isDeaf = true
    for (const [group, sign] of this.#shown.values()) await this.#servers.withdraw(group, sign)
  }

  get logId() {
    return this.#servers.logId
  }
  get partitions() {
    return this.#servers.partitions
  }
  get capabilities() {
    return this.#servers.capabilities
  }
  get limits() {
    return this.#servers.limits
  }

  async announce(group: string, sign: MemberSign): Promise<void> {
    if (this.#isDeaf) return
    this.#shown.set(`${group} ${sign.memberId}`, [group, sign])
    await this.#servers.announce(group, sign)
  }

  async membersChanged(group: string, known: number, signal: AbortSignal): Promise<MemberList> {
    for (let revision = known; ; ) {
      const list = await this.#servers.membersChanged(group, revision, signal)
      if (!this.#isDeaf) return list
      ;({ revision } = list)
    }
  }

  async members(group: string): Promise<MemberList> {
    if (this.#isDeaf) await abortOf(this.#closing.signal)
    return this.#servers.members(group)
  }

  close(): Promise<void> {
    this.#closing.abort()
    return this.#servers.close()
  }

  createTopic = (name: string, options: TopicOptions) => this.#servers.createTopic(name, options)
  listTopics = () => this.#servers.listTopics()
  deleteTopic = (name: string) => this.#servers.deleteTopic(name)
  bounds = (at: Place) => this.#servers.bounds(at)
  offsetAt = (at: Place, timeMs: number) => this.#servers.offsetAt(at, timeMs)
  append = (entries: readonly Entry[], signal?: AbortSignal) => this.#servers.append(entries, signal)
  read = (at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal) =>
    this.#servers.read(at, from, limits, signal)
  changed = (known: ReadonlyMap<Place, Offset>, signal: AbortSignal) => this.#servers.changed(known, signal)
  trim = (at: Place, limits: TrimLimits, needed: Offset) => this.#servers.trim(at, limits, needed)
  mark = (origin: ClaimName, at: Place) => this.#servers.mark(origin, at)
  forward = (origin: ClaimName, at: Place, entries: readonly ForwardedEntry[], after: OriginMark) =>
    this.#servers.forward(origin, at, entries, after)
  journal = (name: ClaimName) => this.#servers.journal(name)
  tellNeeds = (name: ClaimName, needs: Readonly<Record<string, Offset>>, order: number) =>
    this.#servers.tellNeeds(name, needs, order)
  neededAt = (at: Place) => this.#servers.neededAt(at)
  withdraw = (group: string, sign: Pick<MemberSign, 'memberId' | 'incarnation'>) =>
    this.#servers.withdraw(group, sign)
}

function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
