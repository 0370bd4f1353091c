import type { Entry, Offset, Topic, TopicOptions } from '../../log/port.ts'
import { PlaceLog } from './place-log.ts'

/** What bounds an append; the engine's own options. */
export interface AppendBounds {
  /** Without it every entry is stored, whatever its `deduplicationId`. */
  readonly deduplication?: { readonly windowMs: number; readonly maxIds: number }
  readonly maxBytes: number
}

/** Where the entry with some `deduplicationId` was stored first. */
export interface FirstSeen {
  readonly partition: number
  readonly offset: Offset
  readonly timeMs: number
}

/** One topic: its places and the ids that it has seen. */
export class TopicLog {
  readonly name: string
  readonly options: TopicOptions
  readonly #places: readonly PlaceLog[]
  /** In the order of insertion, so that the oldest is first. */
  readonly #seen = new Map<string, FirstSeen>()

  constructor(name: string, options: TopicOptions, partitions: number) {
    this.name = name
    this.options = structuredClone(options)
    this.#places = Array.from(
      { length: partitions },
      (_, partition) => new PlaceLog({ topic: name, partition }),
    )
  }

  get description(): Topic {
    return { name: this.name, options: structuredClone(this.options) }
  }

  get places(): readonly PlaceLog[] {
    return this.#places
  }

  /** Throws `TypeError` for a partition that the log does not have. */
  place(partition: number): PlaceLog {
    const place = this.#places[partition]
    if (place !== undefined) return place
    throw new TypeError(`partition ${partition} is not one of the log's ${this.#places.length}`)
  }

  /** Where the same id was stored within the window; its record may have been trimmed since. */
  firstSeen(id: string, timeMs: number, windowMs: number): FirstSeen | undefined {
    const first = this.#seen.get(id)
    return first !== undefined && timeMs - first.timeMs < windowMs ? first : undefined
  }

  /** All ids, the oldest first. */
  get seen(): ReadonlyMap<string, FirstSeen> {
    return this.#seen
  }

  remember(id: string, first: FirstSeen, maxIds: number): void {
    this.#seen.delete(id)
    this.#seen.set(id, first)
    if (this.#seen.size <= maxIds) return
    for (const oldest of this.#seen.keys()) {
      this.#seen.delete(oldest)
      break
    }
  }

  append(entry: Entry, bounds: AppendBounds): Offset {
    const place = this.place(entry.partition)
    const timeMs = place.timeOf(entry)
    const offset = place.append(entry)
    if (entry.deduplicationId !== undefined && bounds.deduplication !== undefined) {
      const { maxIds, windowMs } = bounds.deduplication
      this.remember(entry.deduplicationId, { partition: entry.partition, offset, timeMs }, maxIds)
      this.#forget(timeMs - windowMs)
    }
    return offset
  }

  /** Frees what has left the window; ids behind a younger one wait for it, which costs nothing but a little memory. */
  #forget(beforeMs: number): void {
    for (const [id, { timeMs }] of this.#seen) {
      if (timeMs >= beforeMs) break
      this.#seen.delete(id)
    }
  }
}
