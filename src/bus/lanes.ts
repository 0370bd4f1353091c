import type { CursorTracker } from './cursor-tracker.ts'
import type { LogRecord } from './record-cache.ts'
import type { KnownCells } from './state-cells.ts'

/** The records of one key of one topic that wait, the first of them perhaps running. */
export class Lane {
  /** Where the subscription stands in the topic. */
  readonly tracker: CursorTracker
  readonly inWork: KeyInWork
  isRunning = false
  /** It was parked: it takes no further record. */
  isGone = false
  #first: LogRecord | undefined
  readonly #others: LogRecord[] = []

  constructor(tracker: CursorTracker, inWork: KeyInWork) {
    this.tracker = tracker
    this.inWork = inWork
  }

  get key(): string {
    return this.inWork.key
  }

  get first(): LogRecord | undefined {
    return this.#first
  }

  get length(): number {
    return this.#first === undefined ? 0 : 1 + this.#others.length
  }

  get records(): readonly LogRecord[] {
    return this.#first === undefined ? [] : [this.#first, ...this.#others]
  }

  push(record: LogRecord): void {
    if (this.#first === undefined) this.#first = record
    else this.#others.push(record)
  }

  shift(): LogRecord | undefined {
    const first = this.#first
    this.#first = this.#others.shift()
    return first
  }
}

/** A key that a subscription works on, or did lately. A handler has one state for a key, whatever the topic. */
export class KeyInWork {
  readonly key: string
  /** What is known of the cells that the handler keeps for it. */
  readonly known: KnownCells = []
  /** Mostly one: handlers take from one topic. */
  lanes: readonly Lane[] = []
  #isTaken = false
  #waiting: (() => void)[] = []

  constructor(key: string) {
    this.key = key
  }

  /** Whether nothing is to be known of it any more. */
  get isIdle(): boolean {
    return !this.#isTaken && this.lanes.every(({ length }) => length === 0)
  }

  /** Takes the key for an attempt; false where one is running already. */
  take(): boolean {
    if (this.#isTaken) return false
    this.#isTaken = true
    return true
  }

  /** Calls `wake` when the key, which is taken, is free again. */
  wait(wake: () => void): void {
    this.#waiting.push(wake)
  }

  /** The attempt has ended. */
  free(): void {
    this.#isTaken = false
    if (this.#waiting.length > 0) for (const wake of this.#waiting.splice(0)) wake()
  }
}

/** So many are taken from the line before it is made shorter. */
const takenAtOnce = 4_096

/** So many keys are known before those that are idle are forgotten. */
const knownKeys = 1_024

/**
 * The keys in work of one subscription, and which of those that are not parked can start, in the order they came. Keys come again:
 * one that is done with stays for a while, so that its next record finds everything there.
 */
export class Lanes {
  readonly #keys = new Map<string, KeyInWork>()
  #mostKeys: number = knownKeys
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

  /** A key, which others may have in work already. */
  inWork(key: string): KeyInWork {
    const known = this.#keys.get(key)
    if (known !== undefined) return known
    if (this.#keys.size >= this.#mostKeys) this.#forgetIdle()
    const inWork = new KeyInWork(key)
    this.#keys.set(key, inWork)
    return inWork
  }

  /** The lane of a key; undefined where nothing of it waits. */
  get(tracker: CursorTracker, key: string): Lane | undefined {
    const lane = laneOf(this.#keys.get(key), tracker)
    return lane?.first === undefined ? undefined : lane
  }

  /** Adds a record at the end of its key. */
  push(record: LogRecord, key: string, tracker: CursorTracker): Lane {
    const inWork = this.inWork(key)
    let lane = laneOf(inWork, tracker)
    if (lane === undefined) {
      lane = new Lane(tracker, inWork)
      inWork.lanes = [...inWork.lanes, lane]
    }
    if (lane.first === undefined) this.#ready.push(lane)
    lane.push(record)
    this.#bytes += record.bytes
    this.#records += 1
    return lane
  }

  /** Takes the next key that can start. One that was parked meanwhile is passed over. */
  takeReady(): Lane | undefined {
    while (this.hasReady) {
      const lane = this.#ready[this.#taken] as Lane
      this.#taken += 1
      // Behind a slow handler the line never ends: what was taken must go before that.
      if (this.#taken === this.#ready.length || this.#taken >= takenAtOnce) {
        this.#ready = this.#ready.slice(this.#taken)
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

  /** The record at the front of a key is done: the next one comes in line. */
  shift(lane: Lane): void {
    const record = lane.shift()
    if (record !== undefined) this.#forget(record)
    lane.isRunning = false
    if (lane.first !== undefined) this.ready(lane)
  }

  /** Removes a key with all its records, which this gives. */
  remove(lane: Lane): readonly LogRecord[] {
    const { records, inWork } = lane
    lane.isGone = true
    inWork.lanes = inWork.lanes.filter((other) => other !== lane)
    for (const record of records) this.#forget(record)
    return records
  }

  /** The key of a topic whose first record stands at `offset`. */
  at(tracker: CursorTracker, offset: number | undefined): Lane | undefined {
    for (const inWork of this.#keys.values()) {
      const lane = laneOf(inWork, tracker)
      if (lane?.first !== undefined && lane.first.offset === offset) return lane
    }
    return undefined
  }

  #forget(record: LogRecord): void {
    this.#bytes -= record.bytes
    this.#records -= 1
  }

  /** Not before as many have come again as are left, so that looking through them costs little for each. */
  #forgetIdle(): void {
    for (const [key, inWork] of this.#keys) if (inWork.isIdle) this.#keys.delete(key)
    this.#mostKeys = Math.max(knownKeys, 2 * this.#keys.size)
  }
}

function laneOf(inWork: KeyInWork | undefined, tracker: CursorTracker): Lane | undefined {
  if (inWork === undefined) return undefined
  for (const lane of inWork.lanes) if (lane.tracker === tracker) return lane
  return undefined
}
