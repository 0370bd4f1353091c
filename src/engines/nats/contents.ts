import { MillraceError } from '../../core/errors.ts'
import { decodeJournalValue } from '../../log/journal/journal-codec.ts'
import type { ClaimName } from '../../log/journal/log-servers.ts'
import { rebuild } from '../../log/journal/rebuild.ts'
import { MemoryStateStores } from '../../log/memory-state-stores.ts'
import type {
  ClaimContents,
  IdPage,
  LogContents,
  PlaceEnds,
  RememberedId,
  StateLimits,
} from '../../log/moving.ts'
import type { Batch, KeyValue, Offset, Place, ReadLimits, Topic } from '../../log/port.ts'
import type { StateStore } from '../../log/state-store.ts'
import { subjectsOf } from './catalog.ts'
import { decodeFrame } from './frame.ts'
import { movedIdIn } from './moved-ids.ts'
import { textOfToken, token } from './names.ts'
import type { NatsServers } from './nats-servers.ts'
import type { StreamInfo } from './topics.ts'

/** Above every key of valid Unicode. */
const aboveEveryKey = '\u{10ffff}'.repeat(400)
/** Positions of ids are those of messages, topic by topic: so many messages no topic has. */
const idsPerTopic = 2 ** 40

/** All that the log of some servers holds. */
export class NatsContents implements LogContents {
  #servers: NatsServers | undefined
  /** The state that was asked for last: they are asked for one after the other. */
  #state: { readonly name: string; readonly store: StateStore } | undefined

  constructor(servers: NatsServers | undefined) {
    this.#servers = servers
  }

  /** The servers. Throws `TypeError` where there is no log yet. */
  protected get servers(): NatsServers {
    if (this.#servers === undefined) throw new TypeError('there is no log yet')
    return this.#servers
  }

  protected open(servers: NatsServers): void {
    this.#servers = servers
  }

  get partitions(): number {
    return this.servers.partitions
  }

  listTopics(): Promise<readonly Topic[]> {
    return this.servers.listTopics()
  }

  async ends({ topic, partition }: Place): Promise<PlaceEnds> {
    const { topics, places, bounds } = this.servers.parts
    const place = places.at(await topics.get(topic), partition)
    const { end } = await bounds.bounds(place)
    const note = await bounds.noteOf(place)
    return { start: note?.start ?? 0, end, lastTimeMs: place.timeMs }
  }

  read(at: Place, from: Offset, limits: ReadLimits): Promise<Batch> {
    return this.servers.read(at, from, limits)
  }

  async listGroups(): Promise<readonly string[]> {
    const { connection, names } = this.servers.parts
    const groups = new Set<string>()
    for (const subject of (await subjectsOf(connection, names.journals, names.allJournals)).keys()) {
      const group = textOfToken(subject.split('.')[2] ?? '')
      if (group === undefined) throw nameTooLong(connection.where)
      groups.add(group)
    }
    return [...groups].sort()
  }

  async claim({ group, partition }: ClaimName): Promise<ClaimContents> {
    const { catalog, names, topics } = this.servers.parts
    const last = await this.servers.journal({ group, partition }).last()
    const epoch = last === undefined ? 0 : decodeJournalValue(last, { group, partition }).epoch
    const needs: Record<string, Offset> = {}
    for (const { topic, id } of await topics.load()) {
      const need = await catalog.get<{ readonly offset: Offset }>(
        names.key('need', id, String(partition), token(group)),
      )
      if (need !== undefined) needs[topic] = need.value.offset
    }
    return { epoch, needs }
  }

  async state(of: ClaimName, after: string | undefined, limits: StateLimits): Promise<readonly KeyValue[]> {
    const store = await this.#stateOf(of, after === undefined)
    const from = after === undefined ? '' : `${after}\0`
    const found = (await store?.range({ from, to: aboveEveryKey, limit: Math.max(1, limits.values) })) ?? []
    let bytes = 0
    const past = found.findIndex(({ value }, index) => {
      bytes += value.length
      return index > 0 && bytes > limits.bytes
    })
    return past < 0 ? found : found.slice(0, past)
  }

  /** The state of a claim, built from its checkpoint and its journal; undefined where there was none. */
  async #stateOf(name: ClaimName, anew: boolean): Promise<StateStore | undefined> {
    const text = `${name.partition}/${name.group}`
    if (!anew && this.#state?.name === text) return this.#state.store
    const journal = this.servers.journal(name)
    const last = await journal.last()
    if (last === undefined) return undefined
    const store = await new MemoryStateStores().open({ logId: this.servers.logId, ...name })
    await rebuild({ name, journal, store, epoch: decodeJournalValue(last, name) })
    this.#state = { name: text, store }
    return store
  }

  async ids(from: number, limit: number): Promise<IdPage> {
    const { topics } = this.servers.parts
    const all = (await topics.load()).toSorted((one, other) => (one.topic < other.topic ? -1 : 1))
    const ids: RememberedId[] = []
    let next = from
    for (let index = Math.floor(from / idsPerTopic); index < all.length && ids.length < limit; index += 1) {
      const topic = all[index]?.topic ?? ''
      const first = Math.max(1, next - index * idsPerTopic)
      const reached = await this.#idsOf(topic, first, limit, ids)
      next = ids.length < limit ? (index + 1) * idsPerTopic : index * idsPerTopic + reached
    }
    return { ids, next }
  }

  /** Takes the ids of messages of a topic from a sequence on; gives where to go on. */
  async #idsOf(name: string, from: number, limit: number, ids: RememberedId[]): Promise<number> {
    const { connection, places, topics, names } = this.servers.parts
    const known = await topics.get(name)
    const { state } = await connection.call<StreamInfo>(`STREAM.INFO.${known.stream}`)
    const first = await this.#firstWithin(known.stream, from, state.last_seq)
    for (let sequence = first; sequence <= state.last_seq && ids.length < limit; ) {
      const message = await connection.message(known.stream, {
        seq: sequence,
        next_by_subj: names.records(known),
      })
      if (message === undefined) break
      sequence = message.sequence + 1
      const moved = movedIdIn(message)
      if (moved !== undefined) {
        ids.push({ topic: name, ...moved })
        continue
      }
      const frame = decodeFrame(message.data)
      const [record] = frame?.records ?? []
      const id = /^Nats-Msg-Id: *(.*?)\r?$/m.exec(message.headers)?.[1]
      // What was stored without an id of a publisher has the writer's own, or that of the message before it.
      if (
        frame === undefined ||
        record === undefined ||
        id === undefined ||
        id === frame.write ||
        id.includes('.')
      )
        continue
      const partition = Number(message.subject.split('.')[4])
      const offset = places.at(known, partition).offsetOf(message.sequence, 0, frame)
      if (offset !== undefined) ids.push({ topic: name, partition, offset, timeMs: record.timeMs })
      if (ids.length >= limit) return sequence
    }
    return state.last_seq + 1
  }

  /** The sequence from which on ids may still count, by halving over the times of the messages. */
  async #firstWithin(stream: string, from: number, last: number): Promise<number> {
    const { connection } = this.servers.parts
    const sinceMs = connection.runtime.now() - longestWindowMs
    let low = from
    let high = last + 1
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2)
      const message = await connection.message(stream, { seq: middle, next_by_subj: '>' })
      const timeMs = message && (movedIdIn(message)?.timeMs ?? decodeFrame(message.data)?.records[0]?.timeMs)
      if (message === undefined || message.sequence >= high || timeMs === undefined || timeMs >= sinceMs)
        high = middle
      else low = message.sequence + 1
    }
    return low
  }

  async close(): Promise<void> {
    await this.#servers?.close()
  }
}

function nameTooLong(where: string): MillraceError {
  return new MillraceError(
    'STORAGE_FAILED',
    'The name of a group is so long that the servers have only a part of it.',
    {
      where,
      fix: 'Nothing can be moved that such a group keeps.',
    },
  )
}

/** No window is longer than this. */
const longestWindowMs = 24 * 3600 * 1000
