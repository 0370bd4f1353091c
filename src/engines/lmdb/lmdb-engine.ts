import type { Runtime } from '../../core/runtime.ts'
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
} from '../../log/port.ts'
import { type AppendContext, AppendStep, stageAppends } from './appending.ts'
import type { Catalog } from './catalog.ts'
import { boundReached, diskFull, freeBytesOf, logClosed, topicUnknown } from './failures.ts'
import { Group, type GroupContext, type Share } from './group.ts'
import { GroupCommit } from './group-commit.ts'
import type { Identities } from './identities.ts'
import { News } from './news.ts'
import { type LmdbOptions, type OpenedLog, openLog } from './open-log.ts'
import { readRecords } from './reading.ts'
import type { Store } from './store.ts'
import { type ClaimContext, StoredClaim } from './stored-claim.ts'
import type { StoredPlace } from './stored-place.ts'
import type { Writes } from './writes.ts'

export type { LmdbOptions } from './open-log.ts'

/**
 * Opens the log in a folder, which is created where there is none. Rejects with `LOG_IN_USE` (`facts.pid`) when another
 * process still has it open after 2 seconds, or at once when this one has, and with `STORAGE_FAILED` when the folder cannot
 * be used.
 */
export async function openLmdb(folder: string, options: LmdbOptions): Promise<LogEngine> {
  return new LmdbEngine(await openLog(folder, options), options)
}

const removedAtOnce = 5000
const retryMs = 1000
/**
 * What is left of the disk for publishers, and for handlers, which may have to emit before they can let anything go: LMDB may
 * end the process when a write of its own finds the disk full.
 */
const reservedBytes = { publishers: 16 * 1024 * 1024, handlers: 4 * 1024 * 1024 } as const

/** The log in one folder, for one process. */
class LmdbEngine implements LogEngine {
  readonly partitions: number
  readonly capabilities: Capabilities
  readonly #opened: OpenedLog
  readonly #store: Store
  readonly #catalog: Catalog
  readonly #identities: Identities
  readonly #runtime: Runtime
  readonly #commits: GroupCommit
  readonly #appendContexts: Readonly<Record<keyof typeof reservedBytes, AppendContext>>
  readonly #news: News
  readonly #groups = new Map<string, Group>()
  readonly #maxBytes: number
  #begun = 0
  #whenNoneBegun: (() => void) | undefined
  readonly #ending = new AbortController()
  #usedBytes = 0
  #freeBytes = Number.POSITIVE_INFINITY
  #closing: Promise<void> | undefined

  constructor(opened: OpenedLog, options: LmdbOptions) {
    this.#opened = opened
    this.#store = opened.store
    this.#catalog = opened.catalog
    this.#identities = opened.identities
    this.#news = new News((named) => opened.catalog.place(named))
    this.#runtime = options.runtime
    this.#maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
    this.partitions = opened.catalog.partitions
    this.capabilities = {
      persistent: true,
      powerLossSafe: options.unsafeNoSync !== true,
      atomicAppend: true,
      appendDeduplicates: true,
      atomicCommit: true,
      fencedReads: true,
      orderedTimes: true,
    }
    this.#appendContexts = {
      publishers: this.#appendContext('publishers'),
      handlers: this.#appendContext('handlers'),
    }
    this.#commits = new GroupCommit(this.#store, this.#runtime, {
      before: (writes) => this.#beforeTransaction(writes),
      staged: (writes) => this.#identities.stageRow(writes),
      after: (writes) => this.#news.tell(this.#catalog.placesOf(writes)),
    })
  }

  #beforeTransaction(writes: Writes): void {
    this.#identities.begin(this.#runtime.now(), writes)
    if (Number.isFinite(this.#maxBytes)) this.#usedBytes = this.#store.usedBytes()
    this.#freeBytes = freeBytesOf(this.#store.folder)
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#begin(() =>
      this.#commits.submit({
        sizeBytes: name.length,
        stage: (writes) => this.#catalog.stageTopic(name, options, writes),
      }),
    )
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#begin(() => this.#catalog.list())
  }

  deleteTopic(name: string): Promise<void> {
    return this.#begin(async () => {
      const topic = await this.#commits.submit({
        sizeBytes: name.length,
        stage: (writes) => this.#catalog.stageDeletion(name, writes),
      })
      this.#news.fail(topicUnknown(name), topic.places)
      await this.#sweep()
    })
  }

  async #sweep(): Promise<void> {
    const stage = (writes: Writes) => this.#catalog.stageSweep(removedAtOnce, writes)
    while (await this.#commits.submit({ sizeBytes: 0, stage }));
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#begin(() => {
      const { start, end, bytes } = this.#catalog.place(at)
      return { start, end, bytes }
    })
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#begin(() => this.#catalog.place(at).offsetAtTime(timeMs))
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    if (this.#closing !== undefined || this.#store.recovery() !== undefined)
      return this.#begin(() => this.#append(entries, signal))
    // Closing waits for every step that was submitted, so there is nothing to count.
    try {
      return this.#append(entries, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #append(entries: readonly Entry[], signal: AbortSignal | undefined): Promise<readonly Appended[]> {
    signal?.throwIfAborted()
    if (entries.length === 0) return Promise.resolve([])
    return this.#commits.submit(new AppendStep(entries, this.#appendContexts.publishers, signal))
  }

  #appendContext(whose: keyof typeof reservedBytes): AppendContext {
    // Handlers that drain a full log must be able to commit, so theirs is a quarter more.
    const maxBytes = whose === 'handlers' ? this.#maxBytes * 1.25 : this.#maxBytes
    return {
      catalog: this.#catalog,
      identities: this.#identities,
      checkRoom: (bytes, writes) => {
        const added = writes.recordBytes + bytes
        if (this.#usedBytes + added > maxBytes) throw boundReached(this.#store.folder, this.#maxBytes)
        if (this.#freeBytes - 2 * added < reservedBytes[whose]) throw diskFull(this.#store.folder)
      },
    }
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#begin(() => {
      signal?.throwIfAborted()
      return readRecords(this.#catalog.place(at), from, limits)
    })
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    if (this.#closing !== undefined || this.#store.recovery() !== undefined)
      return this.#begin(() => this.#changed(known, signal))
    // Closing ends every wait, so there is nothing to count.
    try {
      return this.#changed(known, signal)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  #changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    signal.throwIfAborted()
    return this.#news.wait(known, signal)
  }

  trim(at: Place, limits: TrimLimits): Promise<Offset> {
    return this.#begin(async () => {
      const place = this.#catalog.place(at)
      const target = trimTarget(place, limits)
      let goesOn = true
      while (goesOn) {
        const stage = (writes: Writes) => this.#stageTrim(place, target, writes)
        goesOn = await this.#commits.submit({ sizeBytes: 0, stage })
      }
      return place.start
    })
  }

  /** Removes some records, and returns whether more are to go. What groups need is looked up anew each time. */
  #stageTrim(place: StoredPlace, target: Offset, writes: Writes): boolean {
    if (this.#catalog.placeById(place.topicId, place.partition) !== place) throw topicUnknown(place.topic)
    const allowed = Math.min(target, ...place.needs.values())
    return allowed > place.nextStart && place.stageRemoval(allowed, writes) < allowed
  }

  join(group: string, member: Member, listener: ClaimListener): Promise<Membership> {
    return this.#begin(async () => {
      const joined = this.#groups.get(group) ?? new Group(group, this.#groupContext())
      this.#groups.set(group, joined)
      await joined.join(member, listener)
      let left: Promise<void> | undefined
      const leave = () => {
        left ??= this.#closing ?? this.#begin(() => joined.leave(member.id))
        return left
      }
      return {
        leave,
        get renewal() {
          return joined.renewal
        },
      }
    })
  }

  #groupContext(): GroupContext {
    return {
      partitions: this.partitions,
      claim: (group, shares, onFailed) => this.#claim(group, shares, onFailed),
      retry: (task) => this.#runtime.spawn('share partitions', () => this.#retry(task)),
    }
  }

  /** Goes on until the task succeeds or the engine is closed. */
  async #retry(task: () => Promise<void>): Promise<void> {
    while (this.#closing === undefined) {
      try {
        return await this.#begin(task)
      } catch {
        await this.#runtime.sleep(retryMs, this.#ending.signal).catch(() => undefined)
      }
    }
  }

  #claim(
    group: string,
    shares: readonly Share[],
    onFailed: (claim: StoredClaim) => void,
  ): Promise<StoredClaim[]> {
    return this.#commits.submit({
      sizeBytes: 0,
      stage: (writes) => {
        const groupId = this.#catalog.stageGroup(group, writes)
        const context = this.#claimContext(groupId, onFailed)
        return shares.map(({ partition, memberId }) => {
          const epoch = this.#catalog.stageEpoch(groupId, partition, writes)
          return new StoredClaim({ group, partition, epoch, memberId }, context)
        })
      },
    })
  }

  #claimContext(groupId: number, onFailed: (claim: StoredClaim) => void): ClaimContext {
    return {
      store: this.#store,
      groupId,
      onFailed,
      begin: (call) => this.#begin(call),
      submit: (sizeBytes, stage) => this.#commits.submit({ sizeBytes, stage }),
      stageAppends: ({ appends }, writes) => stageAppends(appends, this.#appendContexts.handlers, writes),
      stageNeeds: (needs, partition, writes) => this.#stageNeeds(needs, { groupId, partition }, writes),
    }
  }

  #stageNeeds(
    needs: Readonly<Record<string, Offset>>,
    of: { readonly groupId: number; readonly partition: number },
    writes: Writes,
  ): void {
    for (const [topic, offset] of Object.entries(needs)) {
      if (!this.#catalog.hasForStep(topic)) continue
      const place = this.#catalog.placeForStep({ topic, partition: of.partition })
      this.#catalog.stageNeed(place, of.groupId, offset, writes)
    }
  }

  backup(folder: string): Promise<void> {
    return this.#begin(() => this.#store.backup(folder))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    this.#news.fail(logClosed(this.#store.folder))
    while (this.#begun > 0) await new Promise<void>((resolve) => (this.#whenNoneBegun = resolve))
    await this.#commits.idle()
    for (const group of this.#groups.values()) group.end()
    await this.#opened.close()
  }

  /** Counts a call that begins, so that closing waits for it. After a failed write it begins when that is overcome. */
  async #begin<T>(call: () => T | Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw logClosed(this.#store.folder)
    const answer = this.#store.whenOpen(call)
    if (!(answer instanceof Promise)) return answer
    this.#begun += 1
    try {
      return await answer
    } finally {
      this.#begun -= 1
      if (this.#begun === 0) this.#whenNoneBegun?.()
    }
  }
}

/** The offset below which everything may go by these limits, whatever groups need. */
function trimTarget(place: StoredPlace, { before, beforeTimeMs, keepBytes }: TrimLimits): Offset {
  const targets = [place.start]
  if (before !== undefined) targets.push(Math.min(before, place.end))
  if (beforeTimeMs !== undefined) targets.push(place.offsetAtTime(beforeTimeMs))
  if (keepBytes !== undefined) targets.push(place.offsetAtSize(keepBytes))
  return Math.max(...targets)
}
