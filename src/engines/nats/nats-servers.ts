import { isMillraceError } from '../../core/errors.ts'
import type { Logger, Runtime } from '../../core/runtime.ts'
import { checkPartition, logClosed } from '../../log/failures.ts'
import type {
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
import {
  type Appended,
  type Batch,
  type Bounds,
  defaultPartitions,
  type EngineOptions,
  type Entry,
  type Offset,
  type Place,
  type ReadLimits,
  type Topic,
  type TopicOptions,
  type TrimLimits,
} from '../../log/port.ts'
import { Appender } from './appender.ts'
import { PlaceBounds } from './bounds.ts'
import { Catalog } from './catalog.ts'
import type { Subscription } from './client.ts'
import { Connection } from './connection.ts'
import { toMillraceError } from './failures.ts'
import { OriginForwarding } from './forwarding.ts'
import { frameOverheadBytes } from './frame.ts'
import { Identities } from './identities.ts'
import { NatsJournal } from './journals.ts'
import { MemberSigns } from './members.ts'
import { Names } from './names.ts'
import { Needs } from './needs.ts'
import { News } from './news.ts'
import { Objects } from './objects.ts'
import { type KnownPlace, KnownPlaces } from './place.ts'
import { Reader } from './reader.ts'
import type { Settings } from './settings.ts'
import { checkUsable, type LogDescription, type Preparation, prepareStreams, readLog } from './streams.ts'
import { type KnownTopic, Topics } from './topics.ts'
import { MessageWriter } from './writing.ts'

const defaultWindowMs = 10 * 60 * 1000
const defaultMaxIds = 5_000_000
const retryMs = 500
const headersBytes = 512
const here = Buffer.from('here')
/** How a leader is elected was mended here; docs/nats.md tells what was lost before. */
const soundVersion = [2, 9, 15] as const
const mayLose =
  'these NATS servers may lose events that they have acknowledged, or have them twice, when one of them ends or is paused while it is written to; 2.9.15 or newer does not'
/** So long a process that writes does not ask whether the log was moved. */
const markKnownMs = 1000

/** What NATS servers with JetStream offer a log, for one of its processes. */
export class NatsServers implements LogServers {
  readonly logId: string
  readonly partitions: number
  readonly capabilities: ServerCapabilities = Object.freeze({
    persistent: true,
    // Servers write to the disk every two minutes unless they are told otherwise, and do not say what they were told.
    powerLossSafe: false,
    atomicAppend: false,
    appendDeduplicates: true,
    orderedTimes: false,
  })
  readonly limits: ServerLimits
  readonly #connection: Connection
  readonly #names: Names
  readonly #catalog: Catalog
  readonly #objects: Objects
  readonly #topics: Topics
  readonly #places: KnownPlaces
  readonly #appender: Appender
  readonly #reader: Reader
  readonly #news: News
  readonly #bounds: PlaceBounds
  readonly #forwarding: OriginForwarding
  readonly #needs: Needs
  readonly #members: MemberSigns
  readonly #hints: readonly Subscription[]
  readonly #ending = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined

  private constructor(connection: Connection, names: Names, log: LogDescription, options: EngineOptions) {
    this.logId = log.id
    this.partitions = log.partitions
    this.#connection = connection
    this.#names = names
    const windowMs = options.deduplicationWindowMs ?? defaultWindowMs
    const shape = { replicas: log.replicas, deduplicationWindowMs: windowMs, maxBytes: options.maxBytes }
    const catalog = new Catalog(connection, names.catalog)
    const topics = new Topics(connection, names, shape, (topic) => this.#gone(topic))
    const places = new KnownPlaces(connection, names, topics)
    const maxIds = options.deduplicationMaxIds ?? defaultMaxIds
    const identities = new Identities(connection, places, { windowMs, maxIds })
    const writer = new MessageWriter(connection, places, topics)
    const parts = { connection, names, catalog, places, identities, writer }
    this.#catalog = catalog
    this.#objects = new Objects(connection, names, log.replicas)
    this.#topics = topics
    this.#places = places
    this.#forwarding = new OriginForwarding(parts)
    this.#bounds = new PlaceBounds(parts, (place, below) => this.#forwarding.noteMarks(place, below))
    places.whenLookedUp = (place) => this.#bounds.startOf(place)
    this.#appender = new Appender({
      ...{ names, topics, places, identities, writer, where: connection.where },
      spawn: (task) => connection.runtime.spawn('nats appender', task),
    })
    this.#reader = new Reader(
      connection,
      places,
      (place) => this.#bounds.startOf(place),
      (place) => this.#lost(place),
    )
    this.#news = new News((place, known) => this.#reader.follow(place, known))
    this.#needs = new Needs(catalog, names, topics, () => connection.runtime.now())
    this.#members = new MemberSigns(connection, names)
    this.limits = {
      maxJournalBytes: connection.maxPayloadBytes - headersBytes,
      maxEntryBytes: writer.maxRecordBytes - frameOverheadBytes,
    }
    this.#hints = [
      connection.subscribe(names.hints.topics, ({ reply }) => {
        // Who wants to know whether anybody is there gets an answer.
        if (reply !== undefined && reply !== '') connection.client.publish(reply, here)
        else this.#later(() => this.#topics.load())
      }),
      connection.subscribe(names.hints.starts, () => this.#bounds.forget()),
    ]
  }

  /**
   * Opens the log of a URL, and makes it where there is none. Errors as {@link Connection.open}. Warns where the servers are known to
   * lose what they have acknowledged; one that is alone is not.
   */
  static async open(
    settings: Settings,
    { runtime, logger, ...options }: EngineOptions & { readonly runtime: Runtime; readonly logger?: Logger },
    preparation: Omit<Preparation, 'partitions'> = {},
  ): Promise<NatsServers> {
    const connection = await Connection.open(settings, runtime)
    try {
      const names = new Names(settings.log)
      const log = await prepareStreams(connection, names, {
        partitions: options.partitions ?? defaultPartitions,
        ...preparation,
      })
      const { where, version } = connection
      if (log.replicas > 1 && !connection.isAtLeast(...soundVersion))
        logger?.warn({ where, version }, mayLose)
      const servers = new NatsServers(connection, names, log, options)
      if (preparation.whateverItsMarks !== true) servers.#watchMark()
      return servers
    } catch (error) {
      await connection.close()
      throw toMillraceError(error, settings.where)
    }
  }

  /** From now on writes are refused within a second after the log was marked as moved. */
  #watchMark(): void {
    const { runtime, where } = this.#connection
    let checkedMs = runtime.now()
    this.#places.beforeWriting = async () => {
      const ageMs = runtime.now() - checkedMs
      if (ageMs >= 0 && ageMs < markKnownMs) return
      checkedMs = runtime.now()
      const log = await readLog(this.#connection, this.#names)
      if (log !== undefined) checkUsable(log, where)
    }
  }

  /** What moving a log works with. */
  get parts() {
    return {
      connection: this.#connection,
      names: this.#names,
      catalog: this.#catalog,
      topics: this.#topics,
      places: this.#places,
      bounds: this.#bounds,
    }
  }

  createTopic(name: string, options: TopicOptions): Promise<void> {
    return this.#begin(() => this.#topics.create(name, options))
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.#begin(() => this.#topics.list())
  }

  deleteTopic(name: string): Promise<void> {
    return this.#begin(async () => {
      const { id } = await this.#topics.delete(name)
      this.#hint(this.#names.hints.topics)
      for (const kind of ['start', 'mark', 'need']) await this.#catalog.remove(this.#names.key(kind, id, '>'))
    })
  }

  bounds(at: Place): Promise<Bounds> {
    return this.#at(at, (place) => this.#bounds.bounds(place))
  }

  offsetAt(at: Place, timeMs: number): Promise<Offset> {
    return this.#at(at, (place) => this.#bounds.offsetAt(place, timeMs))
  }

  append(entries: readonly Entry[], signal?: AbortSignal): Promise<readonly Appended[]> {
    return this.#begin(() => {
      for (const entry of entries) checkPartition(entry.partition, this.partitions)
      return this.#appender.append(entries, signal)
    })
  }

  read(at: Place, from: Offset, limits: ReadLimits, signal?: AbortSignal): Promise<Batch> {
    return this.#at(at, async (place) => {
      signal?.throwIfAborted()
      const batch = await this.#reader.read(place, from, limits)
      signal?.throwIfAborted()
      return batch
    })
  }

  changed(known: ReadonlyMap<Place, Offset>, signal: AbortSignal): Promise<readonly Place[]> {
    return this.#begin(async () => {
      for (const at of known.keys()) checkPartition(at.partition, this.partitions)
      signal.throwIfAborted()
      const awaited = await Promise.all(
        [...known].map(async ([named, offset]) => {
          const place = this.#places.at(await this.#topics.get(named.topic), named.partition)
          if (place.moved !== undefined) await this.#places.refresh(place)
          return { named, place, known: offset }
        }),
      )
      return await this.#news.wait(awaited, AbortSignal.any([signal, this.#ending.signal]))
    })
  }

  trim(at: Place, limits: TrimLimits, needed: Offset): Promise<Offset> {
    return this.#at(at, async (place) => {
      const start = await this.#bounds.trim(place, limits, needed)
      this.#hint(this.#names.hints.starts)
      return start
    })
  }

  mark(origin: ClaimName, at: Place): Promise<OriginMark> {
    return this.#at(at, (place) => this.#forwarding.mark(origin, place))
  }

  forward(
    origin: ClaimName,
    at: Place,
    entries: readonly ForwardedEntry[],
    after: OriginMark,
  ): Promise<Forwarding> {
    return this.#at(at, (place) => this.#forwarding.forward(origin, place, entries, after))
  }

  journal(name: ClaimName): Journal {
    const { connection, names, catalog } = this.parts
    const journal = new NatsJournal({ connection, names, catalog, objects: this.#objects }, name)
    return {
      last: () => this.#begin(() => journal.last()),
      append: (value, expectedLast) => this.#begin(() => journal.append(value, expectedLast)),
      read: (after, limits) => this.#begin(() => journal.read(after, limits)),
      trim: (through) => this.#begin(() => journal.trim(through)),
      putCheckpoint: (checkpoint) => this.#begin(() => journal.putCheckpoint(checkpoint)),
      checkpoint: () => this.#begin(() => journal.checkpoint()),
    }
  }

  tellNeeds(name: ClaimName, needs: Readonly<Record<string, Offset>>, order: number): Promise<void> {
    return this.#begin(() => this.#needs.tell(name, needs, order))
  }

  neededAt(at: Place): Promise<Offset | undefined> {
    return this.#begin(() => this.#needs.at(at))
  }

  announce(group: string, sign: MemberSign): Promise<void> {
    return this.#begin(() => this.#members.announce(group, sign))
  }

  withdraw(group: string, sign: Pick<MemberSign, 'memberId' | 'incarnation'>): Promise<void> {
    return this.#begin(() => this.#members.withdraw(group, sign))
  }

  members(group: string): Promise<MemberList> {
    return this.#begin(() => this.#members.members(group))
  }

  membersChanged(group: string, known: number, signal: AbortSignal): Promise<MemberList> {
    const either = AbortSignal.any([signal, this.#ending.signal])
    return this.#begin(() => this.#members.changed(group, known, either))
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#ending.abort(logClosed())
    this.#connection.end()
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
    await this.#needs.flush().catch(() => undefined)
    for (const hint of this.#hints) hint.unsubscribe()
    this.#members.close()
    this.#reader.close()
    await this.#connection.close()
  }

  #at<T>(at: Place, call: (place: KnownPlace) => Promise<T>): Promise<T> {
    return this.#begin(async () => {
      checkPartition(at.partition, this.partitions)
      const topic = await this.#topics.get(at.topic)
      return await call(this.#places.at(topic, at.partition))
    })
  }

  #hint(subject: string): void {
    this.#connection.client.publish(subject, new Uint8Array())
  }

  /** Counts a call that begins, so that closing waits for it. */
  async #begin<T>(call: () => Promise<T>): Promise<T> {
    this.#ending.signal.throwIfAborted()
    const running = (async () => call())()
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      throw toMillraceError(error, this.#connection.where)
    } finally {
      this.#running.delete(running)
    }
  }

  /** A topic was deleted. */
  #gone(topic: KnownTopic): void {
    this.#places.forget(topic)
    this.#bounds.forget()
    this.#needs.forget(topic.id)
    this.#reader.forgetTopic(topic.id)
    this.#news.fail(topic.id, topic.topic)
  }

  /** A place could not be followed: its topic is gone, or it is tried again. */
  #lost(place: KnownPlace): void {
    this.#later(async () => {
      try {
        await this.#topics.check(place.known)
      } catch (error) {
        if (isMillraceError(error, 'TOPIC_UNKNOWN')) return
        await this.#connection.runtime.sleep(retryMs, this.#ending.signal)
      }
      this.#news.followAgain(place)
    })
  }

  #later(task: () => Promise<unknown>): void {
    if (this.#ending.signal.aborted) return
    this.#connection.runtime.spawn('nats', async () => {
      await task().catch(() => undefined)
    })
  }
}
