import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import type { Move } from '../../log/moving.ts'
import type { Place, Topic, TopicOptions } from '../../log/port.ts'
import { topicUnknown } from './failures.ts'
import { allOf, epochKey, groupKey, logKey, needKey, numberIn, topicKey } from './keys.ts'
import { sealJson } from './sealed.ts'
import type { Store } from './store.ts'
import { StoredPlace } from './stored-place.ts'
import type { Writes } from './writes.ts'

/** What the rows of a log are like. A log of another format is not read. */
export const logFormat = 3

/** The one row about the log as a whole. */
export interface LogRow {
  readonly format: typeof logFormat
  readonly partitions: number
  readonly deduplicationKey: readonly [number, number]
  readonly lastTopicId: number
  readonly lastGroupId: number
  /** Where it is moved to. */
  readonly movedTo?: Move
  /** Where it came from. */
  readonly movedFrom?: Move
  /** How far its ids have been brought in, while the rest is. */
  readonly idsReached?: number
}

type LogChange = { readonly [Name in keyof LogRow]?: LogRow[Name] | undefined }

interface TopicRow {
  readonly name: string
  readonly options: TopicOptions
  readonly deleting?: true
}

/** A topic with its places. */
export interface StoredTopic extends Topic {
  readonly id: number
  readonly places: readonly StoredPlace[]
}

/**
 * The topics and groups in memory. Those on their way to the disk are known to the steps of their transaction and to
 * those after it, but are not shown before they are durable. Ids are never used again, so what a deleted topic leaves
 * behind can be removed bit by bit, and after a crash at the next opening.
 */
export class Catalog {
  readonly #store: Store
  #log: LogRow
  /** What is durable. */
  readonly #topics = new Map<string, StoredTopic>()
  /** What will be durable after the transaction on its way. */
  readonly #next = new Map<string, StoredTopic>()
  readonly #byId = new Map<number, StoredTopic>()
  readonly #groups = new Map<string, number>()
  readonly #deleted: number[] = []

  constructor(store: Store, log: LogRow) {
    this.#store = store
    this.#log = log
  }

  get partitions(): number {
    return this.#log.partitions
  }

  /** The row about the log, as it will be after the transaction on its way. */
  get log(): LogRow {
    return this.#log
  }

  /** The ids of the groups, by name. */
  get groups(): ReadonlyMap<string, number> {
    return this.#groups
  }

  /** Reads all topics, their places and the groups. */
  load(): void {
    for (const { key, value } of this.#store.rows(allOf('group'))) {
      this.#groups.set(this.#store.parse<{ name: string }>(value).name, numberIn(key, 1, 4))
    }
    for (const { key, value } of this.#store.rows(allOf('topic'))) {
      const id = numberIn(key, 1, 4)
      const row = this.#store.parse<TopicRow>(value)
      if (row.deleting) {
        this.#deleted.push(id)
        continue
      }
      const topic = this.#build(id, row)
      for (const place of topic.places) place.load()
      this.#topics.set(topic.name, topic)
      this.#next.set(topic.name, topic)
      this.#byId.set(id, topic)
    }
    for (const { key, value } of this.#store.rows(allOf('need'))) {
      const place = this.#byId.get(numberIn(key, 1, 4))?.places[numberIn(key, 5, 2)]
      place?.needs.set(numberIn(key, 7, 4), this.#store.parse<{ offset: number }>(value).offset)
    }
  }

  #build(id: number, { name, options }: TopicRow): StoredTopic {
    const places = Array.from(
      { length: this.partitions },
      (_, partition) => new StoredPlace(this.#store, name, id, partition),
    )
    return { id, name, options, places }
  }

  /** All durable topics, by name. */
  list(): Topic[] {
    const topics = [...this.#topics.values()].sort((a, b) => (a.name < b.name ? -1 : 1))
    return topics.map(({ name, options }) => ({ name, options: structuredClone(options) }))
  }

  /** A durable place. Throws `TOPIC_UNKNOWN`, or `TypeError` for a partition that no topic has. */
  place(at: Place): StoredPlace {
    return this.#placeIn(this.#topics.get(at.topic), at)
  }

  /** A place for a step: one whose topic the transaction on its way creates counts, one that it deletes does not. */
  placeForStep(at: Place): StoredPlace {
    return this.#placeIn(this.#next.get(at.topic), at)
  }

  /** The id of a topic for a step, as {@link placeForStep}; undefined where there is none. */
  topicIdForStep(topic: string): number | undefined {
    return this.#next.get(topic)?.id
  }

  /** The place with these ids, if its topic still exists. */
  placeById(topicId: number, partition: number): StoredPlace | undefined {
    return this.#byId.get(topicId)?.places[partition]
  }

  /** The places that a transaction appended to. */
  placesOf(writes: Writes): Set<StoredPlace> {
    const places = new Set<StoredPlace>()
    for (const { topicId, partition } of writes.records.map(({ at }) => at)) {
      const place = this.placeById(topicId, partition)
      if (place !== undefined) places.add(place)
    }
    return places
  }

  #placeIn(topic: StoredTopic | undefined, at: Place): StoredPlace {
    if (topic === undefined) throw topicUnknown(at.topic)
    const place = topic.places[at.partition]
    if (place !== undefined) return place
    throw new TypeError(`partition ${at.partition} does not exist; this log has 0 to ${this.partitions - 1}`)
  }

  /** Stages a new topic; one that exists with equal options is fine. */
  stageTopic(name: string, options: TopicOptions, writes: Writes): void {
    const kept = tidy(options)
    const before = this.#next.get(name)
    if (before !== undefined) {
      if (isDeepStrictEqual(before.options, kept)) return
      throw new MillraceError('TOPIC_CONFLICT', `The topic '${name}' exists with other options.`, {
        where: name,
        fix: 'Create it with the options that it has, or delete it first.',
        facts: { topic: name, existing: before.options },
      })
    }
    const topic = this.#build(this.stageLog({ lastTopicId: this.#log.lastTopicId + 1 }, writes).lastTopicId, {
      name,
      options: kept,
    })
    writes.put(topicKey(topic.id), sealJson({ name, options: kept } satisfies TopicRow))
    this.#next.set(name, topic)
    this.#byId.set(topic.id, topic)
    writes.afterwards(
      () => this.#topics.set(name, topic),
      () => {
        this.#next.delete(name)
        this.#byId.delete(topic.id)
      },
    )
  }

  /** Stages a topic's end; its rows remain to be swept. */
  stageDeletion(name: string, writes: Writes): StoredTopic {
    const topic = this.#next.get(name)
    if (topic === undefined) throw topicUnknown(name)
    const row: TopicRow = { name, options: topic.options, deleting: true }
    writes.put(topicKey(topic.id), sealJson(row))
    this.#next.delete(name)
    this.#byId.delete(topic.id)
    writes.afterwards(
      () => {
        this.#topics.delete(name)
        this.#deleted.push(topic.id)
      },
      () => {
        this.#next.set(name, topic)
        this.#byId.set(topic.id, topic)
      },
    )
    return topic
  }

  /** Stages the removal of some rows of deleted topics; returns whether more are left. */
  stageSweep(limit: number, writes: Writes): boolean {
    const topicId = this.#deleted[0]
    if (topicId === undefined) return false
    for (const tag of ['block', 'place', 'need'] as const) {
      const keys = this.#store.keys({ ...allOf(tag, [topicId, 4]), limit })
      for (const key of keys) writes.remove(key)
      if (keys.length === limit) return true
    }
    writes.remove(topicKey(topicId))
    writes.afterwards(() => {
      if (this.#deleted[0] === topicId) this.#deleted.shift()
    })
    return true
  }

  /** The id of a group, staging a new one where there is none. */
  stageGroup(name: string, writes: Writes): number {
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const id = this.stageLog({ lastGroupId: this.#log.lastGroupId + 1 }, writes).lastGroupId
    writes.put(groupKey(id), sealJson({ name }))
    this.#groups.set(name, id)
    writes.afterwards(
      () => undefined,
      () => this.#groups.delete(name),
    )
    return id
  }

  /** The last epoch of a group and partition; undefined when there was none. */
  epoch(groupId: number, partition: number): number | undefined {
    return this.#store.json<{ epoch: number }>(epochKey(groupId, partition))?.epoch
  }

  /** Stages the next epoch of a group and partition. */
  stageEpoch(groupId: number, partition: number, writes: Writes): number {
    const epoch = (this.epoch(groupId, partition) ?? 0) + 1
    writes.put(epochKey(groupId, partition), sealJson({ epoch }))
    return epoch
  }

  /** Stages what a group needs of a place. */
  stageNeed(place: StoredPlace, groupId: number, offset: number, writes: Writes): void {
    place.stageNeed(groupId, offset, writes)
    writes.put(needKey(place.topicId, place.partition, groupId), sealJson({ offset }))
  }

  /** Whether there is a topic of that name for a step. */
  hasForStep(name: string): boolean {
    return this.#next.has(name)
  }

  /** Stages a change of the row about the log; what is undefined is no more. */
  stageLog(change: LogChange, writes: Writes): LogRow {
    const before = this.#log
    // JSON leaves out what is undefined.
    this.#log = JSON.parse(JSON.stringify({ ...before, ...change })) as LogRow
    writes.put(logKey, sealJson(this.#log))
    writes.afterwards(
      () => undefined,
      () => {
        this.#log = before
      },
    )
    return this.#log
  }
}

/** Options as they are stored and compared: without what is undefined. */
function tidy(options: TopicOptions): TopicOptions {
  return JSON.parse(JSON.stringify(options)) as TopicOptions
}
