import type { Event } from '../core/event.ts'
import type { Appended, Entry, Offset, Place } from '../log/port.ts'
import type { EventReader } from './upcast.ts'

/** An entry with its event, where it is known that reading the value would give the very same. */
export interface KnownEntry extends Entry {
  readonly event?: Event | undefined
}

/** A record as the processor sees it: parsed at most once, however many handlers look at it. */
export class LogRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly bytes: number
  readonly #read: EventReader
  #value: Uint8Array | undefined
  #event: Event | undefined

  constructor(place: Place, offset: Offset, value: Uint8Array, read: EventReader, event?: Event) {
    this.#read = read
    this.topic = place.topic
    this.partition = place.partition
    this.offset = offset
    this.bytes = value.length
    if (event === undefined) this.#value = value
    else this.#event = event
  }

  /** The event; frozen, and the same object for every handler. Throws when the stored bytes cannot be read. */
  get event(): Event {
    if (this.#event === undefined) {
      this.#event = this.#read(this.#value ?? new Uint8Array())
      this.#value = undefined
    }
    return this.#event
  }
}

const defaultCacheBytes = 4 * 1024 * 1024

/** Follows one place: what is appended there by this process is kept for it until it has passed. */
export interface TailFollower {
  /** Everything below `offset` has been read, or is not wanted. */
  passed(offset: Offset): void
  /** Nothing more is read. */
  end(): void
}

/**
 * The tail cache: what was just appended by this process, so that its own handlers need not read it back. A record is kept until all
 * who follow its place have passed it: what stays longer than that is copied by the garbage collector for nothing. Bounded by
 * bytes over all places: where that is reached, who follows the place that holds most is too far behind, and nothing is kept
 * for it until it has come to where that was. Only acknowledged records come in, so nothing is seen before it is durable.
 */
export class RecordCache {
  /** By topic and partition; only of places that are followed. */
  readonly #tails = new Map<string, (Tail | undefined)[]>()
  /** How what is stored becomes an event. */
  readonly readEvent: EventReader
  readonly #maxBytes: number
  #bytes = 0

  constructor(readEvent: EventReader, maxBytes = defaultCacheBytes) {
    this.readEvent = readEvent
    this.#maxBytes = maxBytes
  }

  /** Begins to keep what is appended to a place, from an offset on. */
  follow({ topic, partition }: Place, from: Offset): TailFollower {
    const tails = this.#tails.get(topic) ?? []
    this.#tails.set(topic, tails)
    const tail = tails[partition] ?? new Tail()
    tails[partition] = tail
    const follower = {
      passed: (offset: Offset) => {
        tail.followers.set(follower, offset)
        this.#bytes -= tail.drop()
      },
      end: () => {
        tail.followers.delete(follower)
        this.#bytes -= tail.drop()
        if (tail.followers.size === 0 && tails[partition] === tail) tails[partition] = undefined
      },
    }
    follower.passed(from)
    return follower
  }

  /** Keeps entries that were acknowledged. */
  remember(entries: readonly KnownEntry[], appended: readonly Appended[]): void {
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index]
      const place = appended[index]
      if (entry === undefined || place === undefined || place.duplicate) continue
      const tail = this.#tails.get(place.topic)?.[place.partition]
      if (tail === undefined || !tail.wants(place.offset)) continue
      const record = new LogRecord(place, place.offset, entry.value, this.readEvent, entry.event)
      tail.add(record)
      this.#bytes += record.bytes
    }
    while (this.#bytes > this.#maxBytes) this.#evict()
  }

  /**
   * The records from exactly `from` on for as long as their offsets follow one another; empty when `from` is not here.
   * A record at `from` itself is the next one by definition, whatever the engine skips elsewhere.
   */
  read(at: Place, from: Offset, maxRecords: number): readonly LogRecord[] {
    return this.#tails.get(at.topic)?.[at.partition]?.read(from, maxRecords) ?? []
  }

  /** The place that holds most gives it up. */
  #evict(): void {
    let largest: Tail | undefined
    for (const tails of this.#tails.values()) {
      for (const tail of tails) {
        if (tail !== undefined && tail.bytes > (largest?.bytes ?? 0)) largest = tail
      }
    }
    this.#bytes -= largest?.giveUp() ?? this.#bytes
  }
}

/** What is kept of one place. */
class Tail {
  /** How far each follower has come. */
  readonly followers = new Map<TailFollower, Offset>()
  /** Every follower has passed what is below. */
  passed: Offset = 0
  bytes = 0
  /** In the order of their offsets. */
  #records: LogRecord[] = []
  /** Behind what was given up last: who follows reads so far from the engine. */
  #givenUpTo: Offset = 0

  /** Whether a record is to be kept: someone who follows has yet to come to it, and is not too far behind. */
  wants(offset: Offset): boolean {
    return offset >= this.passed && this.passed >= this.#givenUpTo
  }

  add(record: LogRecord): void {
    this.bytes += record.bytes
    const after = this.#records.at(-1)
    if (after === undefined || after.offset < record.offset) this.#records.push(record)
    // The answers of a commit and of an append that share a transaction may come in either order.
    else this.#records.splice(this.#indexOf(record.offset), 0, record)
  }

  read(from: Offset, maxRecords: number): readonly LogRecord[] {
    const first = this.#indexOf(from)
    let end = first
    while (end < first + maxRecords && this.#records[end]?.offset === from + (end - first)) end += 1
    return this.#records.slice(first, end)
  }

  /** Drops what every follower has passed; gives its bytes. */
  drop(): number {
    this.passed = Math.min(...this.followers.values())
    return this.#dropFirst(this.#indexOf(this.passed))
  }

  /** Drops everything; gives its bytes. */
  giveUp(): number {
    const last = this.#records.at(-1)
    if (last !== undefined) this.#givenUpTo = last.offset + 1
    return this.#dropFirst(this.#records.length)
  }

  #dropFirst(count: number): number {
    let bytes = 0
    for (const record of this.#records.splice(0, count)) bytes += record.bytes
    this.bytes -= bytes
    return bytes
  }

  /** Where the first record is whose offset is not below; mostly at the beginning. */
  #indexOf(offset: Offset): number {
    let low = 0
    let high = this.#records.length
    for (let probe = 0; low < high; probe = (low + high) >> 1) {
      if ((this.#records[probe] as LogRecord).offset < offset) low = probe + 1
      else high = probe
    }
    return low
  }
}
