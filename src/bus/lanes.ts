import type { CursorTracker } from './cursor-tracker.ts'
import type { LogRecord } from './record-cache.ts'

/** The records of one key of one topic that wait, the first of them perhaps running. */
export interface Lane {
  /** Where the subscription stands in the topic. */
  readonly tracker: CursorTracker
  readonly key: string
  readonly records: LogRecord[]
  isRunning: boolean
  /** Its last record is done, or it was parked: it takes no further one. */
  isGone: boolean
}

/** The keys in work of one subscription that are not parked, and which of them can start, in the order they came. */
export class Lanes {
  /** By topic, then by key. */
  readonly #lanes = new Map<CursorTracker, Map<string, Lane>>()
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

  get(tracker: CursorTracker, key: string): Lane | undefined {
    return this.#lanes.get(tracker)?.get(key)
  }

  /** Adds a record at the end of its key. */
  push(record: LogRecord, key: string, tracker: CursorTracker): Lane {
    let lane = this.#of(tracker).get(key)
    if (lane === undefined) {
      lane = { tracker, key, records: [record], isRunning: false, isGone: false }
      this.#of(tracker).set(key, lane)
      this.#ready.push(lane)
    } else lane.records.push(record)
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
      if (!lane.isRunning && !lane.isGone) return lane
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
    lane.isRunning = false
    if (lane.records.length > 0) this.ready(lane)
    else this.#delete(lane)
  }

  /** Removes a key with all its records. */
  remove(lane: Lane): void {
    this.#delete(lane)
    for (const record of lane.records) this.#forget(record)
  }

  /** The key of a topic whose first record stands at `offset`. */
  at(tracker: CursorTracker, offset: number | undefined): Lane | undefined {
    for (const lane of this.#of(tracker).values()) if (lane.records[0]?.offset === offset) return lane
    return undefined
  }

  #of(tracker: CursorTracker): Map<string, Lane> {
    const known = this.#lanes.get(tracker)
    if (known !== undefined) return known
    const lanes = new Map<string, Lane>()
    this.#lanes.set(tracker, lanes)
    return lanes
  }

  #delete(lane: Lane): void {
    lane.isGone = true
    this.#of(lane.tracker).delete(lane.key)
  }

  #forget(record: LogRecord): void {
    this.#bytes -= record.bytes
    this.#records -= 1
  }
}
