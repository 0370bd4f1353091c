import type { Appended, Offset, Place } from '../../log/port.ts'
import type { Connection, StoredMessage } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'
import { decodeFrame, type Frame, offsetOf } from './frame.ts'
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
  /** When the end was last that of the servers. */
  lookedUpMs = Number.NEGATIVE_INFINITY
  readonly #watchers = new Set<() => void>()
  readonly #topicProgress: { sequence: number }

  constructor(known: KnownTopic, partition: number, topicProgress: { sequence: number }) {
    this.known = known
    this.partition = partition
    this.#topicProgress = topicProgress
  }

  get topic(): string {
    return this.known.topic
  }

  /** The highest sequence of the whole topic that is known. */
  get topicSequence(): number {
    return this.#topicProgress.sequence
  }

  /** Takes in what a message of this place says. */
  learn(sequence: number, { records }: Frame): void {
    const last = records.at(-1)
    if (last !== undefined && last.timeMs > this.timeMs) this.timeMs = last.timeMs
    if (sequence > this.#topicProgress.sequence) this.#topicProgress.sequence = sequence
    this.grow(offsetOf(sequence, records.length))
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
      offset: offsetOf(sequence, index),
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

  /** Learns from the servers where a place ends. `TOPIC_UNKNOWN` when its topic is gone. */
  async lookUp(place: KnownPlace): Promise<void> {
    const message = await this.message(place, { last_by_subj: this.subject(place) })
    if (message !== undefined) {
      const frame = decodeFrame(message.data)
      if (frame === undefined) place.grow(offsetOf(message.sequence, 1))
      else place.learn(message.sequence, frame)
    }
    place.lookedUpMs = this.#connection.runtime.now()
  }

  /** Makes sure that what is known of a place's end is young enough to write by. */
  async refresh(place: KnownPlace): Promise<void> {
    const ageMs = this.#connection.runtime.now() - place.lookedUpMs
    if (ageMs < 0 || ageMs > knowledgeMs) await this.lookUp(place)
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
