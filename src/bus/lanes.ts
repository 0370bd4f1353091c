import { laneName } from './parked-keys.ts'
import type { LogRecord } from './record-cache.ts'

/** The records of one key of one topic that wait, the first of them perhaps running. */
export interface Lane {
  readonly name: string
  readonly topic: string
  readonly key: string
  readonly records: LogRecord[]
  running: boolean
}

/** The keys in work of one subscription that are not parked, and which of them can start, in the order they came. */
export class Lanes {
  readonly #lanes = new Map<string, Lane>()
  #ready: Lane[] = []
  #taken = 0
  #bytes = 0
  #records = 0

  /** The bytes of all records that are held. */
  get bytes(): number {
    return this.#bytes
  }

  /** How many records are held. */
  get records(): number {
    return this.#records
  }

  /** Whether a key can start. */
  get hasReady(): boolean {
    return this.#taken < this.#ready.length
  }

  /** How many keys wait for their turn, counting those that were parked meanwhile. */
  get readyCount(): number {
    return this.#ready.length - this.#taken
  }

  get(topic: string, key: string): Lane | undefined {
    return this.#lanes.get(laneName(topic, key))
  }

  /** Adds a record at the end of its key. */
  push(record: LogRecord, key: string): Lane {
    const name = laneName(record.topic, key)
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { name, topic: record.topic, key, records: [], running: false }
      this.#lanes.set(name, lane)
      this.#ready.push(lane)
    }
    lane.records.push(record)
    this.#bytes += record.bytes
    this.#records += 1
    return lane
  }

  /** Takes the next key that can start. One that was removed or started meanwhile is passed over. */
  takeReady(): Lane | undefined {
    while (this.hasReady) {
      const lane = this.#ready[this.#taken] as Lane
      this.#taken += 1
      if (this.#taken === this.#ready.length) {
        this.#ready = []
        this.#taken = 0
      }
      if (!lane.running && this.#lanes.get(lane.name) === lane) return lane
    }
    return undefined
  }

  /** Puts a key in line again. */
  ready(lane: Lane): void {
    this.#ready.push(lane)
  }

  /** The record at the front of a key is done: the next one comes in line, or the key is gone. */
  shift(lane: Lane): void {
    const record = lane.records.shift()
    if (record !== undefined) this.#forget(record)
    lane.running = false
    if (lane.records.length > 0) this.ready(lane)
    else this.#lanes.delete(lane.name)
  }

  /** Removes a key with all its records. */
  remove(lane: Lane): void {
    this.#lanes.delete(lane.name)
    for (const record of lane.records) this.#forget(record)
  }

  /** The key of a topic whose first record stands at `offset`. */
  at(topic: string, offset: number | undefined): Lane | undefined {
    for (const lane of this.#lanes.values()) {
      if (lane.topic === topic && lane.records[0]?.offset === offset) return lane
    }
    return undefined
  }

  #forget(record: LogRecord): void {
    this.#bytes -= record.bytes
    this.#records -= 1
  }
}
