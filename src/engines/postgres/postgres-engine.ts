import type { Runtime } from '../../core/runtime.ts'
import {
  type Appended,
  type Batch,
  type Bounds,
  type Capabilities,
  type ClaimListener,
  defaultPartitions,
  type EngineOptions,
  type Entry,
  type LogEngine,
  type Member,
  type Membership,
  type Offset,
  type Place,
  type ReadLimits,
  type Topic,
  type TopicOptions,
  type TrimLimits,
} from '../../log/port.ts'
import { BoundsReader } from './bounds.ts'
import { type Connector, connectorFor } from './connection.ts'
import { Database } from './database.ts'
import { logClosed, toMillraceError, tooLarge } from './failures.ts'
import { Groups } from './groups.ts'
import { Identities } from './identities.ts'
import { News } from './news.ts'
import { PostgresOutbox } from './outbox/postgres-outbox.ts'
import { checkSessions, Presence } from './presence.ts'
import { findByTime, readRecords, trimPlace } from './records.ts'
import { type LogRow, prepareSchema } from './schema.ts'
import { readSettings } from './settings.ts'
import { maxCallBytes, sizeOf } from './step.ts'
import { createTopic, deleteTopic, listTopics, sweepDeleted, sweepIdentities } from './topics.ts'
import { Writer } from './writer.ts'

/** Options of {@link openPostgres}. */
export interface PostgresOptions extends EngineOptions {
  readonly runtime: Runtime
  /**
   * After how long without a sign of a process its partitions go to others, in milliseconds; 6 s unless given. A process whose
   * connection ends with it, as when it is killed, is noticed in half of that.
   */
  readonly leaseMs?: number
}

const mostPartitions = 65_536
const defaultLeaseMs = 6000
const defaultWindowMs = 10 * 60 * 1000
const defaultMaxIds = 5_000_000
const idsBetweenSweeps = 10_000
const retryMs = 500
/** After how long what could not be moved out of the outbox is tried again: at first, and at most. */
const moveAgainMs = { first: 250, most: 8000 } as const

/**
 * Opens the log in a PostgreSQL database, which is created there where there is none: `postgres://user:password@host/database`,
 * with `?schema=NAME` for another schema than `millrace`. Any number of processes may have it open. Rejects with
 * `ENGINE_CLIENT_MISSING` when `pg` is not installed, `LOG_URL_INVALID`, `UNREACHABLE` when the server does not answer,
 * `SESSION_REQUIRED` behind a pooler that shares sessions, and `STORAGE_FAILED` when the server refuses.
 */
export async function openPostgres(url: string, options: PostgresOptions): Promise<LogEngine> {
  const partitions = options.partitions ?? defaultPartitions
  if (!Number.isInteger(partitions) || partitions < 1 || partitions > mostPartitions) {
    throw new TypeError(`partitions must be a whole number from 1 to ${mostPartitions}, not ${partitions}`)
  }
  const settings = readSettings(url)
  const connector = await connectorFor(settings)
  try {
    await checkSessions(connector, options.runtime)
    const engine = new PostgresEngine(connector, await prepareSchema(connector, { partitions }), options)
    await engine.begin()
    return engine
  } catch (error) {
    throw toMillraceError(error, settings.where)
  }
}

/** The log in one PostgreSQL schema, for one of its processes. */
class PostgresEngine implements LogEngine {
  readonly partitions: number
  readonly capabilities: Capabilities
  readonly outbox: PostgresOutbox
  readonly #where: string
  readonly #runtime: Runtime
  readonly #channel: string
  readonly #database: Database
  readonly #bounds: BoundsReader
  readonly #writer: Writer
  readonly #news: News
  readonly #groups: Groups
  readonly #presence: Presence
  readonly #window: { readonly windowMs: number; readonly maxIds: number }
  readonly #running = new Set<Promise<unknown>>()
  readonly #ending = new AbortController()
  #idsSinceSweep = 0
  #movesLater = false
  #moveAgainMs: number = moveAgainMs.first
  #closing: Promise<void> | undefined

  constructor(connector: Connector, log: LogRow, options: PostgresOptions) {
    const { runtime, leaseMs = defaultLeaseMs } = options
    this.partitions = log.partitions
    this.capabilities = Object.freeze({
      persistent: true,
      powerLossSafe: log.flushes,
      atomicAppend: true,
      appendDeduplicates: true,
      atomicCommit: true,
      fencedReads: true,
      orderedTimes: true,
    })
    this.#where = connector.settings.where
    this.#channel = `millrace_${connector.settings.schema}`
    this.#runtime = runtime
    this.#database = new Database(connector, runtime)
    this.#bounds = new BoundsReader(this.#database)
    this.#news = new News(this.#database)
    this.#window = {
      windowMs: options.deduplicationWindowMs ?? defaultWindowMs,
      maxIds: Math.min(options.deduplicationMaxIds ?? defaultMaxIds, Number.MAX_SAFE_INTEGER),
    }
    const processId = runtime.id()
    const { schema } = connector.settings
    const { identity } = log
    const named = { where: this.#where, channel: this.#channel, schema }
    this.outbox = new PostgresOutbox({ ...named, identity, begin: (call) => this.#begin(call) })
    const identities = new Identities(log.idKey, this.#window)
    const shared = { ...named, now: () => runtime.now(), identities }
    const maxBytes = options.maxBytes ?? Number.POSITIVE_INFINITY
    this.#writer = new Writer(connector, { ...shared, writerId: processId, maxBytes }, runtime, {
      grown: (places) => this.#news.grown(places),
      remembered: (ids) => this.#sweepIdentities(ids),
      refused: (entries) => this.outbox.refused(entries),
      moved: (all) => this.#moved(all),
    })
    const { partitions } = this
    this.#groups = new Groups({
      ...{ database: this.#database, partitions, processId, channel: this.#channel, leaseMs },
      claims: {
        begin: (call) => this.#begin(call),
        checkEntries: ({ appends }) => this.#checkEntries(appends),
        submit: (step) => this.#writer.submit(step),
      },
      retry: (name, task) => runtime.spawn(name, () => this.#retry(task)),
    })
    this.#presence = new Presence(
      connector,
      runtime,
      { processId, channel: this.#channel, leaseMs },
      {
        notified: (payload) => this.#notified(payload),
        lookAgain: async () => {
          this.#move()
          await this.#news.look()
          await this.#groups.sync()
        },
        groups: () => this.#groups.ids(),
        seen: (members) => this.#groups.seen(members),
      },
    )
  }

  /** Makes the process known to the others, and finishes what earlier ones have left behind. */
  async begin(): Promise<void> {
    try {
      await this.#writer.begin()
      await this.#presence.begin()
      await sweepDeleted(this.#database)
    } catch (error) {
      await this.close().catch(() => undefined)
      throw error
    }
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#begin(async () => {
      await createTopic(this.#database, { name, options }, this.partitions, this.#channel)
      await this.#news.look()
    })
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#begin(() => listTopics(this.#database))
  }

  deleteTopic(name: string): Promise<void> {
    return this.#begin(async () => {
      await deleteTopic(this.#database, name, this.#channel)
      await this.#news.look()
      await sweepDeleted(this.#database)
    })
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#begin(() => this.#bounds.read(this.#checked(at)))
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#begin(() => findByTime(this.#database, this.#checked(at), timeMs))
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    // Closing waits for the writer, so the call needs no counting.
    return new Promise((resolve, reject) => {
      this.#ending.signal.throwIfAborted()
      signal?.throwIfAborted()
      this.#checkEntries(entries)
      const sizeBytes = sizeOf(entries)
      if (sizeBytes > maxCallBytes) throw tooLarge(sizeBytes, maxCallBytes)
      if (entries.length === 0) resolve([])
      else this.#writer.submit({ sizeBytes, entries, signal, resolve, reject })
    })
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#begin(async () => {
      signal?.throwIfAborted()
      const batch = await readRecords(this.#database, this.#checked(at), from, limits)
      signal?.throwIfAborted()
      return batch
    })
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return this.#begin(() => {
      for (const at of known.keys()) this.#checked(at)
      return this.#news.wait(known, AbortSignal.any([signal, this.#ending.signal]))
    })
  }

  trim(at: Place, limits: TrimLimits): Promise<Offset> {
    return this.#begin(() => trimPlace(this.#database, this.#checked(at), limits))
  }

  join(group: string, member: Member, listener: ClaimListener): Promise<Membership> {
    return this.#begin(async () => {
      const membership = await this.#groups.join(group, member.id, listener)
      let left: Promise<void> | undefined
      const leave = () => {
        left ??= this.#closing ?? this.#begin(() => membership.leave())
        return left
      }
      return {
        leave,
        get renewal() {
          return membership.renewal
        },
      }
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort(logClosed(this.#where))
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await this.#writer.idle()
    this.#presence.close()
    // Where the server is away the lease of this process ends by itself.
    await this.#groups.close().catch(() => undefined)
    await this.#writer.close()
    await this.#database.close()
  }

  /** Counts a call that begins, so that closing waits for it. */
  async #begin<T>(call: () => Promise<T>): Promise<T> {
    this.#ending.signal.throwIfAborted()
    const running = call()
    this.#running.add(running)
    try {
      return await running
    } finally {
      this.#running.delete(running)
    }
  }

  /** Goes on until the task succeeds or the engine is closed. */
  async #retry(task: () => Promise<void>): Promise<void> {
    while (!this.#ending.signal.aborted) {
      try {
        return await this.#begin(task)
      } catch {
        await this.#runtime.sleep(retryMs, this.#ending.signal).catch(() => undefined)
      }
    }
  }

  #notified(payload: string): void {
    const [what, rest = ''] = split(payload)
    if (what === 'grown') this.#news.told(rest)
    else if (what === 'outbox') this.#move()
    else if (what === 'group') this.#later(() => this.#groups.sync(Number(rest)))
    else this.#later(() => this.#news.look())
  }

  #move(): void {
    if (!this.#ending.signal.aborted) this.#writer.move()
  }

  /** What is not moved yet, because another process is at it and may end, or because there is no room, is looked for again. */
  #moved(all: boolean): void {
    if (all) this.#moveAgainMs = moveAgainMs.first
    if (all || this.#movesLater) return
    this.#movesLater = true
    const waitMs = this.#moveAgainMs
    this.#moveAgainMs = Math.min(2 * waitMs, moveAgainMs.most)
    this.#runtime.spawn('postgres outbox', async () => {
      await this.#runtime.sleep(waitMs, this.#ending.signal).catch(() => undefined)
      this.#movesLater = false
      this.#move()
    })
  }

  #later(task: () => Promise<void>): void {
    this.#runtime.spawn('postgres news', () => this.#retry(task))
  }

  #sweepIdentities(ids: number): void {
    this.#idsSinceSweep += ids
    if (this.#idsSinceSweep < idsBetweenSweeps) return
    this.#idsSinceSweep = 0
    const sweep = () => sweepIdentities(this.#database, { ...this.#window, nowMs: this.#runtime.now() })
    this.#runtime.spawn('forget ids', () => this.#begin(sweep).catch(() => undefined))
  }

  #checkEntries(entries: readonly Entry[]): void {
    for (const entry of entries) this.#checked(entry)
  }

  /** Throws `TypeError` for a partition that the log does not have. */
  #checked<At extends Place>(at: At): At {
    const { partition } = at
    if (Number.isInteger(partition) && partition >= 0 && partition < this.partitions) return at
    throw new TypeError(`partition ${partition} is not one of the log's ${this.partitions}`)
  }
}

function split(payload: string): readonly [string, string?] {
  const space = payload.indexOf(' ')
  return space < 0 ? [payload] : [payload.slice(0, space), payload.slice(space + 1)]
}
