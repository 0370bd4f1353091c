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

/**
 * The tail cache: what was just appended by this process, so that its own handlers need not read it back. Bounded by
 * bytes over all places, the oldest going first. Only acknowledged records come in, so nothing is seen before it is durable.
 */
export class RecordCache {
  /** By topic and partition. */
  readonly #places = new Map<string, Map<Offset, LogRecord>[]>()
  /** The oldest first; those that are gone leave nothing behind until the array is cut. */
  readonly #order: (LogRecord | undefined)[] = []
  /** How what is stored becomes an event. */
  readonly readEvent: EventReader
  readonly #maxBytes: number
  #bytes = 0
  #head = 0

  constructor(readEvent: EventReader, maxBytes = defaultCacheBytes) {
    this.readEvent = readEvent
    this.#maxBytes = maxBytes
  }

  /** Keeps entries that were acknowledged. */
  remember(entries: readonly KnownEntry[], appended: readonly Appended[]): void {
    if (this.#maxBytes === 0) return
    for (let index = 0; index < entries.length; index += 1) {
      const entry = entries[index]
      const place = appended[index]
      if (entry === undefined || place === undefined || place.duplicate) continue
      const record = new LogRecord(place, place.offset, entry.value, this.readEvent, entry.event)
      this.#of(place).set(place.offset, record)
      this.#order.push(record)
      this.#bytes += record.bytes
    }
    this.#evict()
  }

  /**
   * The records from exactly `from` on for as long as their offsets follow one another; empty when `from` is not here.
   * A record at `from` itself is the next one by definition, whatever the engine skips elsewhere.
   */
  read(at: Place, from: Offset, maxRecords: number): readonly LogRecord[] {
    const place = this.#places.get(at.topic)?.[at.partition]
    if (place === undefined) return []
    const records: LogRecord[] = []
    for (let offset = from; records.length < maxRecords; offset += 1) {
      const record = place.get(offset)
      if (record === undefined) break
      records.push(record)
    }
    return records
  }

  #of(at: Place): Map<Offset, LogRecord> {
    let places = this.#places.get(at.topic)
    if (places === undefined) {
      places = []
      this.#places.set(at.topic, places)
    }
    let place = places[at.partition]
    if (place === undefined) {
      place = new Map()
      places[at.partition] = place
    }
    return place
  }

  #evict(): void {
    while (this.#bytes > this.#maxBytes && this.#head < this.#order.length) {
      const oldest = this.#order[this.#head] as LogRecord
      this.#order[this.#head] = undefined
      this.#head += 1
      this.#bytes -= oldest.bytes
      this.#places.get(oldest.topic)?.[oldest.partition]?.delete(oldest.offset)
    }
    if (this.#head > 1024 && this.#head * 2 > this.#order.length) {
      this.#order.splice(0, this.#head)
      this.#head = 0
    }
  }
}
