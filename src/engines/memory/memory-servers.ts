import { logClosed } from '../../log/failures.ts'
import type {
  Checkpoint,
  ClaimName,
  ForwardedEntry,
  Forwarding,
  Journal,
  LogServers,
  MemberList,
  MemberSign,
  OriginMark,
  ServerCapabilities,
  ServerLimits,
} from '../../log/journal/log-servers.ts'
import type {
  Appended,
  Batch,
  Bounds,
  Entry,
  Offset,
  Place,
  ReadLimits,
  Topic,
  TopicOptions,
  TrimLimits,
} from '../../log/port.ts'
import { MemoryEngine, type MemoryOptions } from './memory-engine.ts'
import { MemoryServersLog } from './memory-servers-log.ts'
import { immediateSteps } from './steps.ts'

/** Options of {@link MemoryServers}. */
export interface MemoryServersOptions extends Omit<MemoryOptions, 'log'> {
  /** The storage; servers that are given the same one are those of processes on one log. A new one unless given. */
  readonly log?: MemoryServersLog
  readonly limits?: ServerLimits
}

const noLimits: ServerLimits = {
  maxJournalBytes: Number.MAX_SAFE_INTEGER,
  maxEntryBytes: Number.MAX_SAFE_INTEGER,
}

/**
 * Servers in memory as one process sees them, for tests of the journal: they promise what `LogServers` says and nothing
 * more. Every call is two steps, as those of the memory engine are.
 */
export class MemoryServers implements LogServers {
  readonly logId: string
  readonly partitions: number
  readonly capabilities: ServerCapabilities
  readonly limits: ServerLimits
  readonly #log: MemoryServersLog
  readonly #options: MemoryServersOptions
  /** Keeps the places. */
  readonly #engine: MemoryEngine
  readonly #closing = new AbortController()
  readonly #announced = new Map<string, Map<string, MemberSign>>()
  /** While others take this process for gone: nothing that it says of its members is heard, and it hears nothing of them. */
  #session: PromiseWithResolvers<void> | undefined

  constructor(options: MemoryServersOptions) {
    this.#options = options
    this.#log = options.log ?? new MemoryServersLog()
    this.#engine = new MemoryEngine({ ...options, log: this.#log.places })
    this.logId = 'memory'
    this.partitions = this.#engine.partitions
    const { atomicCommit: _, fencedReads: __, ...capabilities } = this.#engine.capabilities
    this.capabilities = capabilities
    this.limits = options.limits ?? noLimits
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#engine.createTopic(name, options)
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#engine.listTopics()
  }

  deleteTopic(name: string): Promise<void> {
    return this.#call('deleteTopic', () => this.#log.deleteTopic(name))
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#engine.bounds(at)
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#engine.offsetAt(at, timeMs)
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    return this.#engine.append(entries, signal)
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#engine.read(at, from, limits, signal)
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return this.#engine.changed(known, signal)
  }

  trim(at: Place, limits: TrimLimits, needed: Offset): Promise<Offset> {
    return this.#call('trim', () => this.#log.places.trim(at, limits, needed))
  }

  mark(origin: ClaimName, at: Place): Promise<OriginMark> {
    return this.#call('mark', () => this.#log.mark(origin, at))
  }

  async forward(
    origin: ClaimName,
    at: Place,
    entries: readonly ForwardedEntry[],
    after: OriginMark,
  ): Promise<Forwarding> {
    const appended: Appended[] = []
    let mark = after
    for (const entry of entries) {
      await this.#step('forward:apply')
      const answer = this.#log.forward(origin, at, entry, mark, this.#engine.appendBounds)
      if (!answer.stored) {
        await this.#step('forward:acknowledge')
        return answer
      }
      appended.push(...answer.appended)
      mark = answer.mark
    }
    await this.#step('forward:acknowledge')
    return { stored: true, appended, mark }
  }

  journal(name: ClaimName): Journal {
    const journal = () => this.#log.journal(name)
    return {
      last: () => this.#call('last', () => journal().last),
      append: (value, expectedLast) => this.#call('journal', () => journal().append(value, expectedLast)),
      read: (after, limits) => this.#call('replay', () => journal().read(after, limits)),
      trim: (through) => this.#call('forget', () => journal().trim(through)),
      putCheckpoint: (checkpoint) => this.#putCheckpoint(name, checkpoint),
      checkpoint: () =>
        this.#call('checkpoint', () => {
          const kept = journal().checkpoint
          return kept === undefined ? undefined : { sequence: kept.sequence, chunks: iterate(kept.chunks) }
        }),
    }
  }

  tellNeeds(name: ClaimName, needs: Readonly<Record<string, Offset>>, order: number): Promise<void> {
    return this.#call('needs', () => this.#log.tellNeeds(name, needs, order))
  }

  neededAt(at: Place): Promise<Offset | undefined> {
    return this.#call('needed', () => this.#log.neededAt(at))
  }

  announce(group: string, sign: MemberSign): Promise<void> {
    return this.#call('announce', () => {
      const ofGroup = this.#announced.get(group) ?? new Map<string, MemberSign>()
      this.#announced.set(group, ofGroup.set(sign.memberId, sign))
      if (this.#session === undefined) this.#log.announce(group, sign)
    })
  }

  withdraw(group: string, sign: Pick<MemberSign, 'memberId' | 'incarnation'>): Promise<void> {
    return this.#call('withdraw', () => {
      this.#announced.get(group)?.delete(sign.memberId)
      this.#log.withdraw(group, sign)
    })
  }

  async members(group: string): Promise<MemberList> {
    await this.#heard(this.#closing.signal)
    return this.#call('members', () => this.#log.members(group))
  }

  async membersChanged(group: string, known: number, signal: AbortSignal): Promise<MemberList> {
    signal.throwIfAborted()
    await this.#step('watch:apply')
    for (;;) {
      await this.#heard(signal)
      const list = this.#log.members(group)
      if (list.revision > known) {
        await this.#step('watch:acknowledge')
        return list
      }
      await this.#newMembers(signal)
    }
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return
    this.#closing.abort(logClosed())
    await this.#engine.close()
  }

  /** The process is gone, at once; others find that out by its signs. Its steps must not happen any more. */
  crash(): void {
    this.#engine.crash()
  }

  /** Others take this process for gone, but it goes on and does not know: it finds out when it commits, or is told. */
  loseSession(): void {
    if (this.#session !== undefined) return
    this.#session = Promise.withResolvers()
    for (const [group, signs] of this.#announced) {
      for (const sign of signs.values()) this.#log.withdraw(group, sign)
    }
  }

  /** After {@link loseSession}: this process hears of the others again, and is heard. */
  regainSession(): void {
    this.#session?.resolve()
    this.#session = undefined
  }

  async #putCheckpoint(name: ClaimName, { sequence, chunks }: Checkpoint): Promise<void> {
    const kept: Uint8Array[] = []
    for await (const chunk of chunks) {
      await this.#step('chunk:apply')
      kept.push(new Uint8Array(chunk))
    }
    await this.#call('putCheckpoint', () => this.#log.journal(name).putCheckpoint(sequence, kept))
  }

  async #heard(signal: AbortSignal): Promise<void> {
    while (this.#session !== undefined)
      await unlessAborted(this.#session.promise, [signal, this.#closing.signal])
  }

  async #newMembers(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = this.#log.watchMembers(resolve)
    try {
      await unlessAborted(promise, [signal, this.#closing.signal])
    } finally {
      stop()
    }
  }

  async #call<Answer>(name: string, apply: () => Answer): Promise<Answer> {
    await this.#step(`${name}:apply`)
    const answer = apply()
    await this.#step(`${name}:acknowledge`)
    return answer
  }

  async #step(name: string): Promise<void> {
    this.#closing.signal.throwIfAborted()
    await (this.#options.steps ?? immediateSteps).step(name)
    const error = this.#options.fault?.(name)
    if (error !== undefined) throw error
  }
}

async function* iterate(chunks: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) yield chunk
}

function unlessAborted(promise: Promise<void>, signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const stops: (() => void)[] = []
    const settle = (act: () => void) => {
      for (const stop of stops) stop()
      act()
    }
    for (const signal of signals) {
      const abort = () => settle(() => reject(signal.reason))
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      stops.push(() => signal.removeEventListener('abort', abort))
    }
    promise.then(() => settle(resolve), reject)
  })
}
