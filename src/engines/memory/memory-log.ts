import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import { checkStateKey, idReused, notOwner, topicUnknown } from '../../log/failures.ts'
import { compareUtf8 } from '../../log/key-values.ts'
import { importUnfinished, logMoved, type Move } from '../../log/moving.ts'
import {
  type Appended,
  type Change,
  defaultPartitions,
  type Entry,
  type Offset,
  type Place,
  type StoredRecord,
  type Topic,
  type TopicOptions,
  type TrimLimits,
} from '../../log/port.ts'
import { compareEvents } from '../../log/same-event.ts'
import { Group, type Ownership, type PartitionState } from './group.ts'
import type { PlaceLog } from './place-log.ts'
import { type AppendBounds, TopicLog } from './topic-log.ts'

/** How far a log has been brought in from elsewhere. */
export interface Arrival {
  origin: Move
  /** Places and claims that are whole, by name. */
  readonly whole: Set<string>
  ids: number
}

/**
 * What the memory engines of several processes share: the stored log. Every method is one indivisible step; one that
 * throws has changed nothing.
 */
export class MemoryLog {
  readonly #topics = new Map<string, TopicLog>()
  readonly #groups = new Map<string, Group>()
  /** Who has it open. */
  readonly #handles = new Set<object>()
  #partitions: number | undefined
  #bytes = 0
  /** Where it is moved to. */
  mark: Move | undefined
  /** What was brought in of the log that it comes from. */
  arrival: Arrival | undefined

  get isEmpty(): boolean {
    return this.#partitions === undefined
  }

  get isOpen(): boolean {
    return this.#handles.size > 0 || [...this.#groups.values()].some(({ hasMembers }) => hasMembers)
  }

  get topics(): ReadonlyMap<string, TopicLog> {
    return this.#topics
  }

  get groups(): ReadonlyMap<string, Group> {
    return this.#groups
  }

  /** Opens it for a process: throws `LOG_MOVED` and `IMPORT_UNFINISHED` where it is not to be used. */
  enter(handle: object, partitions?: number): number {
    this.#checkNotMoved()
    const origin = this.arrival?.origin
    if (origin?.finished === false) throw importUnfinished('memory:', origin)
    this.#handles.add(handle)
    return this.open(partitions)
  }

  leave(handle: object): void {
    this.#handles.delete(handle)
  }

  /** Removes everything. */
  clear(): void {
    this.#topics.clear()
    this.#groups.clear()
    this.#partitions = undefined
    this.#bytes = 0
    this.arrival = undefined
  }

  #checkNotMoved(): void {
    if (this.mark !== undefined) throw logMoved('memory:', this.mark)
  }

  /** The partition count: that of the first opening. */
  open(partitions: number = defaultPartitions): number {
    if (!Number.isInteger(partitions) || partitions < 1) {
      throw new TypeError(`partitions must be a whole number from 1 on, not ${partitions}`)
    }
    this.#partitions ??= partitions
    return this.#partitions
  }

  createTopic(name: string, options: TopicOptions): void {
    this.#checkNotMoved()
    const topic = this.#topics.get(name)
    if (topic === undefined) this.#topics.set(name, new TopicLog(name, options, this.open()))
    else if (!isDeepStrictEqual(topic.options, options)) {
      throw new MillraceError('TOPIC_CONFLICT', `Topic '${name}' exists with other options.`, {
        where: name,
        fix: 'Use the options that it was created with, or another name.',
        facts: { topic: name },
      })
    }
  }

  listTopics(): Topic[] {
    const topics = [...this.#topics.values()].map((topic) => topic.description)
    return topics.sort((left, right) => compareUtf8(left.name, right.name))
  }

  deleteTopic(name: string): void {
    this.#checkNotMoved()
    const { places } = this.#topic(name)
    this.#topics.delete(name)
    for (const place of places) {
      this.#bytes -= place.bounds.bytes
      place.wake()
    }
    for (const group of this.#groups.values()) {
      for (const partition of places.keys()) group.state(partition).needs.delete(name)
    }
  }

  place(at: Place): PlaceLog {
    return this.#topic(at.topic).place(at.partition)
  }

  /** Throws what {@link append} would throw. */
  check(entries: readonly Entry[], bounds: AppendBounds): void {
    this.#plan(entries, bounds)
  }

  append(entries: readonly Entry[], bounds: AppendBounds): Appended[] {
    this.#checkNotMoved()
    return this.#plan(entries, bounds).map((planned) => this.#store(planned, bounds))
  }

  /** Where the record is whose id an entry has; it must be remembered. */
  firstOf({ topic: name, partition, ...entry }: Entry, { deduplication }: AppendBounds): Appended {
    const topic = this.#topic(name)
    const timeMs = topic.place(partition).timeOf({ ...entry, topic: name, partition })
    const first = topic.firstSeen(entry.deduplicationId ?? '', timeMs, deduplication?.windowMs ?? 0)
    if (first === undefined) throw topicUnknown(name)
    return { topic: name, partition: first.partition, offset: first.offset, duplicate: true }
  }

  /** Trims as the port says; `bound` is what somebody beside the groups of this log needs. */
  trim(at: Place, limits: TrimLimits, bound: Offset = Number.POSITIVE_INFINITY): Offset {
    this.#checkNotMoved()
    const place = this.place(at)
    const needs = [...this.#groups.values()].map((group) => group.state(at.partition).needs.get(at.topic))
    const needed = Math.min(bound, ...needs.map((offset) => offset ?? Number.POSITIVE_INFINITY))
    const before = place.bounds.bytes
    const start = place.trim(limits, needed)
    this.#bytes -= before - place.bounds.bytes
    return start
  }

  /** Puts a record that is moved here behind all of its place. */
  addRecord(at: Place, record: StoredRecord): void {
    this.place(at).add(record)
    this.#bytes += record.value.length
  }

  /** The group that a member joins. */
  groupToJoin(name: string): Group {
    this.#checkNotMoved()
    return this.group(name)
  }

  group(name: string): Group {
    let group = this.#groups.get(name)
    if (group === undefined) {
      group = new Group(name, this.open())
      this.#groups.set(name, group)
    }
    return group
  }

  /** The state that an ownership gives access to; throws `NOT_OWNER` unless it is the current one of its partition. */
  stateOf(ownership: Ownership): PartitionState {
    const group = this.group(ownership.group)
    if (!group.holds(ownership)) throw notOwner(ownership)
    return group.state(ownership.partition)
  }

  commit(ownership: Ownership, change: Change, bounds: AppendBounds): Appended[] {
    this.#checkNotMoved()
    const { values, needs } = this.stateOf(ownership)
    for (const { key } of change.puts) checkStateKey(key)
    const planned = this.#plan(change.appends, bounds)
    for (const key of change.deletes) values.delete(key)
    for (const { key, value } of change.puts) values.put(key, value)
    for (const [topic, offset] of Object.entries(change.needs ?? {})) {
      if (this.#topics.has(topic)) needs.set(topic, offset)
    }
    return planned.map((entry) => this.#store(entry, bounds))
  }

  /** What would become of each entry; throws when one of them stops them all. */
  #plan(entries: readonly Entry[], bounds: AppendBounds): Planned[] {
    const planned: Planned[] = []
    const within = new Map<string, Planned>()
    let bytes = this.#bytes
    for (const entry of entries) {
      const topic = this.#topic(entry.topic)
      const place = topic.place(entry.partition)
      const id = bounds.deduplication && entry.deduplicationId
      const sameCall = id === undefined ? undefined : within.get(`${entry.topic}/${id}`)
      const first =
        id === undefined || sameCall !== undefined
          ? undefined
          : topic.firstSeen(id, place.timeOf(entry), bounds.deduplication?.windowMs ?? 0)
      const plan: Planned = { entry, topic, sameCall, first, stored: undefined }
      const earlier = sameCall?.entry.value ?? (first && topic.place(first.partition).valueAt(first.offset))
      if (earlier !== undefined && compareEvents(earlier, entry.value) !== 'same') throw idReused(entry)
      if (sameCall === undefined && first === undefined) bytes += entry.value.length
      if (id !== undefined && sameCall === undefined) within.set(`${entry.topic}/${id}`, plan)
      planned.push(plan)
    }
    if (bytes > bounds.maxBytes && bytes > this.#bytes) throw full(bounds.maxBytes)
    return planned
  }

  #store(planned: Planned, bounds: AppendBounds): Appended {
    const { entry, topic, sameCall, first } = planned
    const earlier = sameCall?.stored ?? first
    if (earlier !== undefined) {
      planned.stored = earlier
      return { topic: topic.name, partition: earlier.partition, offset: earlier.offset, duplicate: true }
    }
    const offset = topic.append(entry, bounds)
    this.#bytes += entry.value.length
    planned.stored = { partition: entry.partition, offset }
    return { topic: topic.name, partition: entry.partition, offset, duplicate: false }
  }

  #topic(name: string): TopicLog {
    const topic = this.#topics.get(name)
    if (topic !== undefined) return topic
    throw topicUnknown(name)
  }
}

/** An entry and, where it repeats an earlier one, which. */
interface Planned {
  readonly entry: Entry
  readonly topic: TopicLog
  readonly sameCall: Planned | undefined
  readonly first: { readonly partition: number; readonly offset: Offset } | undefined
  stored: { readonly partition: number; readonly offset: Offset } | undefined
}

function full(maxBytes: number): MillraceError {
  return new MillraceError('LOG_FULL', `The log has reached its bound of ${maxBytes} bytes.`, {
    fix: 'Raise `maxBytes`, shorten the retention of topics, or let slow handlers catch up.',
    facts: { maxBytes },
  })
}
