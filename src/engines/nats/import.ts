import type { Runtime } from '../../core/runtime.ts'
import { writeCheckpoint } from '../../log/journal/checkpoint-codec.ts'
import { decodeJournalValue, encodeJournalEntry } from '../../log/journal/journal-codec.ts'
import type { ClaimName } from '../../log/journal/log-servers.ts'
import { MemoryStateStores } from '../../log/memory-state-stores.ts'
import {
  type ClaimContents,
  type KnownId,
  type LogImport,
  logOccupied,
  type Move,
  type PlaceEnds,
  type PlaceReached,
  stillInUse,
} from '../../log/moving.ts'
import type { KeyValue, Place, StoredRecord, Topic } from '../../log/port.ts'
import { behindHeaders } from './catalog.ts'
import { Connection } from './connection.ts'
import { NatsContents } from './contents.ts'
import { isRefusal, refusals, toMillraceError } from './failures.ts'
import { decodeFrame, encodeFrame, framedSize, offsetOf, recordsPerMessage } from './frame.ts'
import { encodeMovedId } from './moved-ids.ts'
import { idOf, Names } from './names.ts'
import { NatsServers } from './nats-servers.ts'
import { readSettings, type Settings } from './settings.ts'
import { changeMarks, type LogDescription, readLog, removeLog } from './streams.ts'
import type { MovedPart, StreamInfo } from './topics.ts'

interface ImportOptions {
  readonly runtime: Runtime
}

/** Opens the place on NATS servers that a log is to be moved to; rejects as `openNats` does. */
export async function importNats(url: string, options: ImportOptions): Promise<LogImport> {
  const settings = readSettings(url)
  const connection = await Connection.open(settings, options.runtime)
  try {
    const log = await readLog(connection, new Names(settings.log))
    const servers = log && (await openServers(settings, options, log.partitions))
    return new NatsImport({ settings, options, connection, servers }, log)
  } catch (error) {
    await connection.close()
    throw toMillraceError(error, settings.where)
  }
}

function openServers(
  settings: Settings,
  options: ImportOptions,
  partitions: number,
  making?: Move,
): Promise<NatsServers> {
  const preparation = { whateverItsMarks: true, ...(making === undefined ? {} : { making }) } as const
  return NatsServers.open(settings, { ...options, partitions }, preparation)
}

interface ImportParts {
  readonly settings: Settings
  readonly options: ImportOptions
  readonly connection: Connection
  readonly servers: NatsServers | undefined
}

/** While a topic is brought in, all its messages say their offsets themselves. */
const bringing: MovedPart = { through: null, shift: 0 }
const headersBytes = 512
const mostMessageBytes = 1024 * 1024
const idsAtOnce = 200
/** How long ids are remembered, as logs are opened that do not say it. */
const windowMs = 10 * 60 * 1000

class NatsImport extends NatsContents implements LogImport {
  readonly found: LogImport['found']
  readonly #parts: ImportParts
  readonly #names: Names
  /** The last message of each place, which the next one must stand behind. */
  readonly #lasts = new Map<string, number>()
  #origin: Move | undefined

  constructor(parts: ImportParts, log: LogDescription | undefined) {
    super(parts.servers)
    this.#parts = parts
    this.#names = new Names(parts.settings.log)
    this.#origin = log?.from
    if (log === undefined) this.found = 'nothing'
    else this.found = log.from?.finished === false ? 'import' : 'log'
  }

  get origin(): Move | undefined {
    return this.#origin
  }

  async begin(origin: Move, partitions: number): Promise<void> {
    const { settings, options } = this.#parts
    if (this.found === 'import' && this.#origin?.id === origin.id && this.partitions === partitions) return
    if (this.found !== 'nothing') throw logOccupied(settings.where)
    this.open(await openServers(settings, options, partitions, origin))
    this.#origin = origin
  }

  createTopic({ name, options }: Topic): Promise<void> {
    return this.#answer(() => this.servers.parts.topics.create(name, options, bringing))
  }

  reached(at: Place): Promise<PlaceReached> {
    return this.#answer(async () => {
      const { topics, places, bounds } = this.servers.parts
      const place = places.at(await topics.get(at.topic), at.partition)
      const message = await places.message(place, { last_by_subj: places.subject(place) })
      const frame = message && decodeFrame(message.data)
      const next = (frame?.first ?? 0) + (frame?.records.length ?? 0)
      return { next, ended: (await bounds.noteOf(place)) !== undefined }
    })
  }

  addRecords(at: Place, records: readonly StoredRecord[]): Promise<void> {
    return this.#answer(async () => {
      for (let from = 0; from < records.length; ) {
        const together = this.#together(records, from)
        await this.#store(at, together)
        from += together.length
      }
    })
  }

  /** As many records as fit into a message and follow one another. */
  #together(records: readonly StoredRecord[], from: number): readonly StoredRecord[] {
    let room = Math.min(this.#parts.connection.maxPayloadBytes, mostMessageBytes) - headersBytes - 64
    let to = from
    for (; to < records.length && to - from < recordsPerMessage; to += 1) {
      const { offset, value } = records[to] as StoredRecord
      room -= framedSize(value)
      if (to > from && (room < 0 || offset !== (records[to - 1] as StoredRecord).offset + 1)) break
    }
    return records.slice(from, to)
  }

  async #store(at: Place, records: readonly StoredRecord[]): Promise<void> {
    const { connection, names, topics } = this.servers.parts
    const topic = await topics.get(at.topic)
    const subject = names.direct(topic, at.partition)
    const first = records[0]?.offset ?? 0
    const last = this.#lasts.get(subject) ?? (await this.#lastOf(topic.stream, subject))
    const payload = encodeFrame({ write: `moved ${first}`, first, records })
    const headers = connection.headers(behindHeaders(subject, last, `~${this.#origin?.id}`))
    try {
      const { sequence } = await connection.bridge(() => connection.publish(subject, payload, headers))
      this.#lasts.set(subject, sequence)
    } catch (error) {
      if (isRefusal(error, refusals.wrongLast)) throw stillInUse(connection.where, 'another migration', {})
      throw error
    }
  }

  async #lastOf(stream: string, subject: string): Promise<number> {
    const message = await this.servers.parts.connection.message(stream, { last_by_subj: subject })
    return message?.sequence ?? 0
  }

  endPlace(at: Place, { start, end, lastTimeMs }: PlaceEnds): Promise<void> {
    return this.#answer(async () => {
      const { topics, places, bounds } = this.servers.parts
      const timeMs = Number.isFinite(lastTimeMs) ? lastTimeMs : null
      await bounds.setNote(places.at(await topics.get(at.topic), at.partition), { start, end, timeMs })
    })
  }

  hasClaim(of: ClaimName): Promise<boolean> {
    return this.#answer(async () => (await this.servers.journal(of).checkpoint()) !== undefined)
  }

  /** The checkpoint comes last: where it is, all of the claim is. */
  addClaim(
    of: ClaimName,
    { epoch, needs }: ClaimContents,
    state: AsyncIterable<readonly KeyValue[]>,
  ): Promise<void> {
    return this.#answer(async () => {
      const journal = this.servers.journal(of)
      const store = await new MemoryStateStores().open({ logId: this.servers.logId, ...of })
      for await (const puts of state) await store.apply({ puts, deletes: [] }, undefined)
      const last = await journal.last()
      const before = last && decodeJournalValue(last, of)
      const { value, checksum } = encodeJournalEntry({
        ...{ kind: 'epoch', memberId: 'millrace migrate', epoch: Math.max(1, epoch), forwarded: 0 },
        ...{ previous: before?.sequence ?? 0, chain: before?.checksum ?? 0 },
      })
      const appended = await journal.append(value, before?.sequence ?? 0)
      if (!appended.stored) throw stillInUse(this.#parts.settings.where, 'another migration', {})
      const { sequence } = appended
      await this.servers.tellNeeds(of, needs, sequence)
      const chunks = writeCheckpoint(store, { sequence, chain: checksum }, () => undefined)
      await journal.putCheckpoint({ sequence, chunks })
    })
  }

  idsReached(): Promise<number> {
    return this.#answer(async () => {
      const { catalog, names } = this.servers.parts
      return (await catalog.get<number>(names.key('move', 'ids')))?.value ?? 0
    })
  }

  addIds(ids: readonly KnownId[], next: number): Promise<void> {
    return this.#answer(async () => {
      const { catalog, names } = this.servers.parts
      // The servers remember an id for the window from now on, and one whose time is over by then for nothing.
      const young = ids.filter(({ timeMs }) => timeMs > this.#parts.options.runtime.now() - windowMs)
      for (let from = 0; from < young.length; from += idsAtOnce) {
        await Promise.all(young.slice(from, from + idsAtOnce).map((id) => this.#addId(id)))
      }
      await catalog.change<number>(names.key('move', 'ids'), () => next)
    })
  }

  /** The servers remember it by the header, and of one that they know already they keep no second message. */
  async #addId(id: KnownId): Promise<void> {
    const { connection, names, topics } = this.servers.parts
    const subject = names.movedIds(await topics.get(id.topic))
    const headers = connection.headers({ 'Nats-Msg-Id': idOf(id.deduplicationId) })
    await connection.bridge(() => connection.publish(subject, encodeMovedId(id), headers))
  }

  finish(): Promise<void> {
    return this.#answer(async () => {
      const { connection, topics } = this.servers.parts
      for (const { topic } of await topics.load()) await this.#endTopic(topic)
      const origin = { ...(this.#origin as Move), finished: true }
      await changeMarks(connection, this.#names, { from: origin })
      this.#origin = origin
    })
  }

  /** From now on offsets follow from sequences, above all that were moved. */
  async #endTopic(name: string): Promise<void> {
    const { connection, topics } = this.servers.parts
    const { stream, moved } = await topics.get(name)
    if (moved?.through !== null) return
    const { state } = await connection.call<StreamInfo>(`STREAM.INFO.${stream}`)
    let most = 0
    for (let partition = 0; partition < this.partitions; partition += 1) {
      most = Math.max(most, (await this.ends({ topic: name, partition })).end)
    }
    const through = state.last_seq
    await topics.setMoved(name, { through, shift: Math.max(0, Math.ceil(most / offsetOf(1)) - through - 1) })
  }

  drop(): Promise<void> {
    if (this.found === 'log') return Promise.reject(logOccupied(this.#parts.settings.where))
    return this.#answer(async () => {
      if (this.#origin !== undefined) await removeLog(this.#parts.connection, this.#names)
    })
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#parts.connection.close()
  }

  async #answer<T>(call: () => Promise<T>): Promise<T> {
    try {
      return await call()
    } catch (error) {
      throw toMillraceError(error, this.#parts.settings.where)
    }
  }
}
