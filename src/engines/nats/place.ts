import type { Appended, Offset, Place } from '../../log/port.ts'
import type { Connection, StoredMessage } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'
import { decodeFrame, type Frame, offsetOf, sequenceOf } from './frame.ts'
import { MovedOffsets } from './moved-offsets.ts'
import type { Names } from './names.ts'
import type { KnownTopic, Topics } from './topics.ts'

/** What this process knows of where a place ends is looked up again when it is older than this and something is written. */
const knowledgeMs = 1000

/** A place as this process knows it: by what it has appended, read and looked up. */
export class KnownPlace implements Place {
  readonly known: KnownTopic
  readonly partition: number
  /** Nothing below this can be read any more, as far as is known. */
  start: Offset = 0
  /** Above every offset that is known. */
  end: Offset = 0
  /** The highest time of a record that is known. */
  timeMs = Number.NEGATIVE_INFINITY
  /** The bytes of messages that were learned of as the last ones; only what comes to it says something. */
  bytes = 0
  /** When the end was last that of the servers. */
  lookedUpMs = Number.NEGATIVE_INFINITY
  /** What was moved here of the place. */
  readonly moved: MovedOffsets | undefined
  readonly #watchers = new Set<() => void>()
  readonly #topicProgress: { sequence: number }

  constructor(known: KnownTopic, partition: number, topicProgress: { sequence: number }) {
    this.known = known
    this.partition = partition
    this.#topicProgress = topicProgress
    this.moved = known.moved && new MovedOffsets(known.moved)
  }

  get topic(): string {
    return this.known.topic
  }

  /** The highest sequence of the whole topic that is known. */
  get topicSequence(): number {
    return this.#topicProgress.sequence
  }

  /** Takes in what a message of this place says; `frame` is undefined where it is not what was stored. */
  learn(sequence: number, frame: Frame | undefined, sizeBytes: number): void {
    const last = frame?.records.at(-1)
    if (last !== undefined && last.timeMs > this.timeMs) this.timeMs = last.timeMs
    if (sequence > this.#topicProgress.sequence) this.#topicProgress.sequence = sequence
    const end = this.offsetOf(sequence, frame?.records.length ?? 1, frame)
    if (end === undefined) return
    if (end > this.end) this.bytes += sizeBytes
    this.grow(end)
  }

  /** The offset of a record of a message; undefined where only the message could say it. */
  offsetOf(sequence: number, index: number, frame: Frame | undefined): Offset | undefined {
    if (this.moved === undefined) return offsetOf(sequence, index)
    return this.moved.offsetOf(sequence, index, frame)
  }

  grow(end: Offset): void {
    if (end <= this.end) return
    this.end = end
    for (const watcher of [...this.#watchers]) watcher()
  }

  /** Calls `watcher` whenever the end grows, until the function that is given back is called. */
  watch(watcher: () => void): () => void {
    this.#watchers.add(watcher)
    return () => this.#watchers.delete(watcher)
  }

  /** An entry that stands in this place now. */
  appended(sequence: number, index: number): Appended {
    return {
      topic: this.topic,
      partition: this.partition,
      offset: this.offsetOf(sequence, index, undefined) ?? this.start,
      duplicate: false,
    }
  }
}

/** The places that this process has to do with. */
export class KnownPlaces {
  readonly #connection: Connection
  readonly #names: Names
  readonly #topics: Topics
  readonly #places = new Map<
    string,
    { readonly progress: { sequence: number }; readonly places: KnownPlace[] }
  >()

  constructor(connection: Connection, names: Names, topics: Topics) {
    this.#connection = connection
    this.#names = names
    this.#topics = topics
  }

  at(topic: KnownTopic, partition: number): KnownPlace {
    let found = this.#places.get(topic.id)
    if (found === undefined) {
      found = { progress: { sequence: 0 }, places: [] }
      this.#places.set(topic.id, found)
    }
    const { progress, places } = found
    places[partition] ??= new KnownPlace(topic, partition, progress)
    return places[partition]
  }

  forget({ id }: KnownTopic): void {
    this.#places.delete(id)
  }

  /** The subject of every record of a place. */
  subject({ known, partition }: KnownPlace): string {
    return this.#names.place(known, partition)
  }

  /** Called before anything is written; rejects where nothing is to be written any more. */
  beforeWriting: () => Promise<void> = async () => undefined

  /** Called when it is looked up where a place ends that was moved here: what is noted of it counts too. */
  whenLookedUp: (place: KnownPlace) => Promise<unknown> = async () => undefined

  /** Learns from the servers where a place ends. `TOPIC_UNKNOWN` when its topic is gone. */
  async lookUp(place: KnownPlace): Promise<void> {
    const message = await this.message(place, { last_by_subj: this.subject(place) })
    if (message !== undefined) place.learn(message.sequence, decodeFrame(message.data), message.data.length)
    if (place.moved !== undefined) await this.whenLookedUp(place)
    place.lookedUpMs = this.#connection.runtime.now()
  }

  /** Makes sure that what is known of a place's end is young enough to write by. */
  async refresh(place: KnownPlace): Promise<void> {
    await this.beforeWriting()
    const ageMs = this.#connection.runtime.now() - place.lookedUpMs
    if (ageMs < 0 || ageMs > knowledgeMs) await this.lookUp(place)
  }

  /** The sequence of the first message that may have a record of an offset or of a later one. */
  async sequenceOf(place: KnownPlace, offset: Offset): Promise<number> {
    if (place.moved === undefined) return Math.max(0, sequenceOf(offset))
    return await place.moved.sequenceOf(offset, (sequence) => this.messageFrom(place, sequence))
  }

  /**
   * Where to read on when nothing that was moved here is at an offset or behind it; undefined where something is, or nothing was moved.
   * `sequence` is where to look from.
   */
  async behindMoved(place: KnownPlace, offset: Offset, sequence: number): Promise<Offset | undefined> {
    const { moved } = place
    if (moved === undefined || offset >= moved.liveFrom) return undefined
    for (let next = sequence; ; ) {
      const message = await this.messageFrom(place, next)
      if (message === undefined || !moved.isMoved(message.sequence)) break
      const frame = decodeFrame(message.data)
      if (frame === undefined || (frame.first ?? 0) + frame.records.length > offset) return undefined
      next = message.sequence + 1
    }
    return Number.isFinite(moved.liveFrom) ? moved.liveFrom : Math.max(offset, place.end)
  }

  /** The first message of a place from a sequence on. */
  messageFrom(place: KnownPlace, sequence: number): Promise<StoredMessage | undefined> {
    return this.message(place, { seq: Math.max(1, sequence), next_by_subj: this.subject(place) })
  }

  /** A message of the stream of a place. `TOPIC_UNKNOWN` when its topic is gone. */
  async message(
    { known }: Pick<KnownPlace, 'known'>,
    query: Parameters<Connection['message']>[1],
  ): Promise<StoredMessage | undefined> {
    try {
      return await this.#connection.message(known.stream, query)
    } catch (error) {
      if (isRefusal(error, refusals.streamUnknown)) await this.#topics.check(known)
      throw error
    }
  }
}
