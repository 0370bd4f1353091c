import type { Runtime } from '../../core/runtime.ts'
import { logClosed } from '../../log/failures.ts'
import type {
  Appended,
  Batch,
  Bounds,
  Capabilities,
  ClaimListener,
  EngineOptions,
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
} from '../../log/port.ts'
import { Lanes } from './lanes.ts'
import { MemoryLog } from './memory-log.ts'
import { type MembershipHost, MemoryMembership } from './memory-membership.ts'
import { immediateSteps, type StepScheduler } from './steps.ts'
import type { AppendBounds } from './topic-log.ts'

/** Options of {@link openMemory}. */
export interface MemoryOptions extends EngineOptions {
  readonly runtime: Runtime
  /** The storage; engines that are given the same one are processes on one log. A new one unless given. */
  readonly log?: MemoryLog
  /** Decides when each half of a call happens; at once unless given. */
  readonly steps?: StepScheduler
  /**
   * Asked when a step happens, by the step's name; an error that it gives fails the call. At `…:apply` nothing has been
   * applied then; at `…:acknowledge` it has, and the caller cannot know.
   */
  readonly fault?: (name: string) => Error | undefined
  /** Whether an append of many entries is stored as a whole; true unless given. */
  readonly atomicAppend?: boolean
  /** Whether a repeated `deduplicationId` is not stored; true unless given. */
  readonly appendDeduplicates?: boolean
}

const defaultDeduplicationWindowMs = 10 * 60 * 1000
const defaultDeduplicationMaxIds = 5_000_000

/** Opens the memory engine: one process's handle on a {@link MemoryLog}. */
export function openMemory(options: MemoryOptions): MemoryEngine {
  return new MemoryEngine(options)
}

/** The engine of `memory:` and of the simulation: keeps the log in memory and does nothing but what the contract says. */
export class MemoryEngine implements LogEngine {
  readonly partitions: number
  readonly capabilities: Capabilities
  readonly #log: MemoryLog
  readonly #runtime: Runtime
  readonly #steps: StepScheduler
  readonly #fault: (name: string) => Error | undefined
  readonly #bounds: AppendBounds
  readonly #host: MembershipHost
  readonly #lanes = new Lanes()
  readonly #running = new Set<Promise<unknown>>()
  readonly #memberships = new Set<MemoryMembership>()
  /** Those of a session that was lost, until it is regained. */
  readonly #expelled = new Set<MemoryMembership>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined
  #crashed = false

  constructor(options: MemoryOptions) {
    this.#log = options.log ?? new MemoryLog()
    this.partitions = this.#log.enter(this, options.partitions)
    this.#runtime = options.runtime
    this.#steps = options.steps ?? immediateSteps
    this.#fault = options.fault ?? (() => undefined)
    this.capabilities = Object.freeze({
      persistent: false,
      powerLossSafe: false,
      atomicAppend: options.atomicAppend ?? true,
      appendDeduplicates: options.appendDeduplicates ?? true,
      atomicCommit: true,
      fencedReads: true,
      orderedTimes: true,
    })
    const deduplication = {
      windowMs: options.deduplicationWindowMs ?? defaultDeduplicationWindowMs,
      maxIds: options.deduplicationMaxIds ?? defaultDeduplicationMaxIds,
    }
    this.#bounds = {
      maxBytes: options.maxBytes ?? Number.POSITIVE_INFINITY,
      ...(this.capabilities.appendDeduplicates ? { deduplication } : {}),
    }
    this.#host = {
      log: this.#log,
      bounds: this.#bounds,
      begin: (call) => this.#begin(call),
      step: (name) => this.#step(name),
      later: (name, act) => this.#later(name, act),
      ended: (membership) => this.#memberships.delete(membership),
    }
  }

  /** What bounds every append of this process. */
  get appendBounds(): AppendBounds {
    return this.#bounds
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#call('createTopic', () => this.#log.createTopic(name, options))
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#call('listTopics', () => this.#log.listTopics())
  }

  deleteTopic(name: string): Promise<void> {
    return this.#call('deleteTopic', () => this.#log.deleteTopic(name))
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#call('bounds', () => this.#log.place(at).bounds)
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#call('offsetAt', () => this.#log.place(at).offsetAt(timeMs))
  }

  trim(at: Place, limits: TrimLimits): Promise<Offset> {
    return this.#call('trim', () => this.#log.trim(at, limits))
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#call('read', () => this.#log.place(at).read(from, limits), signal)
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    return this.#begin(async () => {
      signal?.throwIfAborted()
      const places = entries.map(({ topic, partition }) => `${partition}/${topic}`)
      const appended = await this.#lanes.run(places, () => this.#apply(entries, signal))
      await this.#step('append:acknowledge')
      return appended
    })
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return this.#begin(async () => {
      signal.throwIfAborted()
      await this.#step('changed:apply')
      const places = await this.#news(known, signal)
      await this.#step('changed:acknowledge')
      signal.throwIfAborted()
      return places
    })
  }

  join(group: string, member: Member, listener: ClaimListener): Promise<Membership> {
    return this.#begin(async () => {
      await this.#step('join:apply')
      const membership = new MemoryMembership(member.id, this.#log.groupToJoin(group), listener, this.#host)
      membership.enter()
      this.#memberships.add(membership)
      try {
        await this.#step('join:acknowledge')
      } catch (error) {
        membership.end()
        throw error
      }
      membership.announceAll()
      return membership
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#end()
    return this.#closed
  }

  /** The process is gone, at once: others take over, and nothing that it waits for ever settles. */
  crash(): void {
    this.#crashed = true
    this.#log.leave(this)
    for (const membership of this.#memberships) membership.vanish()
  }

  /** Others take over, but this process goes on and does not know: it finds out when it commits, or is told. */
  loseSession(): void {
    for (const membership of this.#memberships) {
      membership.vanish()
      this.#expelled.add(membership)
    }
  }

  /** After {@link loseSession}: tells of the loss of every claim, and takes part again, unless it has left meanwhile. */
  regainSession(): void {
    for (const membership of this.#expelled) {
      if (!this.#memberships.has(membership)) continue
      membership.loseAll()
      membership.enter()
    }
    this.#expelled.clear()
  }

  async #end(): Promise<void> {
    this.#closing.abort(logClosed())
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await this.#turn('close:apply')
    for (const membership of [...this.#memberships]) membership.end()
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    this.#log.leave(this)
    await this.#turn('close:acknowledge')
  }

  #call<Answer>(name: string, apply: () => Answer, signal?: AbortSignal): Promise<Answer> {
    return this.#begin(async () => {
      signal?.throwIfAborted()
      await this.#step(`${name}:apply`)
      signal?.throwIfAborted()
      const answer = apply()
      await this.#step(`${name}:acknowledge`)
      return answer
    })
  }

  async #begin<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    this.#closing.signal.throwIfAborted()
    const running = call()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  async #turn(name: string): Promise<void> {
    await this.#steps.step(name)
    if (this.#crashed) await new Promise(() => {})
  }

  async #step(name: string): Promise<void> {
    await this.#turn(name)
    const error = this.#fault(name)
    if (error !== undefined) throw error
  }

  #later(name: string, act: () => void): void {
    if (this.#crashed) return
    this.#runtime.spawn(`memory ${name}`, async () => {
      const happening = this.#steps.step(name).then(() => {
        if (!this.#crashed) act()
      })
      this.#running.add(happening)
      await happening.finally(() => this.#running.delete(happening))
    })
  }

  async #apply(entries: readonly Entry[], signal: AbortSignal | undefined): Promise<Appended[]> {
    await this.#step('append:apply')
    signal?.throwIfAborted()
    if (this.capabilities.atomicAppend) return this.#log.append(entries, this.#bounds)
    this.#log.check(entries, this.#bounds)
    const appended: Appended[] = []
    for (const [index, entry] of entries.entries()) {
      if (index > 0) await this.#step('append:apply')
      appended.push(...this.#log.append([entry], this.#bounds))
    }
    return appended
  }

  #news(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return new Promise((resolve, reject) => {
      const stops: (() => void)[] = []
      const stop = () => {
        for (const end of stops) end()
      }
      const look = () => {
        try {
          const places = [...known.keys()].filter(
            (at) => this.#log.place(at).bounds.end > (known.get(at) ?? 0),
          )
          if (places.length === 0) return
          stop()
          resolve(places.map(({ topic, partition }) => ({ topic, partition })))
        } catch (error) {
          stop()
          reject(error)
        }
      }
      const abortOn = (cause: AbortSignal) => {
        const abort = () => {
          stop()
          reject(cause.reason)
        }
        if (cause.aborted) return abort()
        cause.addEventListener('abort', abort, { once: true })
        stops.push(() => cause.removeEventListener('abort', abort))
      }
      abortOn(signal)
      abortOn(this.#closing.signal)
      try {
        for (const at of known.keys()) stops.push(this.#log.place(at).watch(look))
      } catch (error) {
        stop()
        return reject(error)
      }
      look()
    })
  }
}
