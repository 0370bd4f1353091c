import TinyQueue from 'tinyqueue'
import type { Offset } from '../log/port.ts'
import type { ParkedEntry } from './parked-entry.ts'
import type { PartitionState } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'

/** A parked key of one subscription. */
export class ParkedKey {
  readonly topic: string
  readonly key: string
  /** Where its entry is kept in the state of the partition. */
  readonly stateKey: string
  entry: ParkedEntry
  /** An attempt for it is running, or has timed out and not ended. */
  busy = false
  /** It is not parked any more. */
  isGone = false
  /** Records of the key that were read ahead while looking for the next one. */
  ahead: readonly LogRecord[] = none
  /** Of the records that wait the first ones, with no other of the key between them. */
  kept: readonly LogRecord[] = none
  /** Whether all that wait are kept, so that the next one may be, too. */
  isKeptWhole: boolean

  constructor(handler: string, topic: string, key: string, entry: ParkedEntry) {
    this.topic = topic
    this.key = key
    this.stateKey = stateLayout.parked(handler, topic, key)
    this.entry = entry
    this.isKeptWhole = entry.count === 0
  }
}

const none: readonly never[] = []

/** A place in the line of keys that wait for their time. */
class Due {
  readonly dueMs: number
  readonly parked: ParkedKey

  constructor(dueMs: number, parked: ParkedKey) {
    this.dueMs = dueMs
    this.parked = parked
  }
}

/** Beyond so many parked keys a subscription reads nothing new. */
export const maxParkedKeys = 10_000

/** So many bytes of records that wait stay in memory, and so many records of one key; the others are read again. */
const mostKept = { bytes: 64 * 1024, ofKey: 8 } as const

/**
 * The parked keys of one subscription in one partition: a copy of the durable entries, so that a record is found to be of
 * a parked key without a look-up, and the order in which they are due. Loaded when the partition is claimed.
 */
export class ParkedKeys {
  readonly #handler: string
  readonly #topics = new Map<string, Map<string, ParkedKey>>()
  readonly #due = new TinyQueue<Due>([], (a, b) => a.dueMs - b.dueMs)
  #size = 0
  #keptBytes = 0

  constructor(handler: string) {
    this.#handler = handler
  }

  /** Reads the durable entries of a topic. */
  async load(state: PartitionState, topic: string): Promise<void> {
    const prefix = stateLayout.parked(this.#handler, topic, '')
    const end = endOfPrefix(prefix)
    for (let from = prefix; ; ) {
      const found = await state.range(from, end, 1_000)
      for (const { key, text } of found)
        this.add({ topic, key: key.slice(prefix.length), entry: JSON.parse(text) })
      const last = found.at(-1)
      if (found.length < 1_000 || last === undefined) return
      from = `${last.key}\u0000`
    }
  }

  get size(): number {
    return this.#size
  }

  /** The parked key of a topic. */
  get(topic: string, key: string): ParkedKey | undefined {
    return this.#size === 0 ? undefined : this.#topics.get(topic)?.get(key)
  }

  /** Adds a key that is not parked yet. */
  add(of: Pick<ParkedKey, 'topic' | 'key' | 'entry'>, busy = false): ParkedKey {
    const { topic, key } = of
    const parked = new ParkedKey(this.#handler, topic, key, of.entry)
    parked.busy = busy
    const keys = this.#topics.get(topic) ?? new Map<string, ParkedKey>()
    this.#topics.set(topic, keys)
    keys.set(key, parked)
    this.#size += 1
    this.wait(parked)
    return parked
  }

  /** Takes note of a key's new entry. */
  change(parked: ParkedKey, entry: ParkedEntry): void {
    parked.entry = entry
    // One that is held may wait for ever.
    if (entry.dueMs === null) this.keep(parked, none, false)
    else this.#dropKept(parked, entry.first)
    this.wait(parked)
  }

  remove(parked: ParkedKey): void {
    this.keep(parked, none, false)
    parked.isGone = true
    this.#topics.get(parked.topic)?.delete(parked.key)
    this.#size -= 1
  }

  /**
   * Keeps of the records that wait the first ones, as far as there is room: most are tried again soon. `whole`: behind
   * the given ones none waits.
   */
  keep(parked: ParkedKey, records: readonly LogRecord[], whole: boolean): void {
    this.#dropKept(parked, Number.POSITIVE_INFINITY)
    parked.isKeptWhole = whole
    for (const record of records) if (!this.#keepOne(parked, record)) break
  }

  /** One more record waits, behind all others of its key. */
  keepNext(parked: ParkedKey, record: LogRecord): void {
    if (parked.isKeptWhole) this.#keepOne(parked, record)
  }

  /** The record that is to be tried next, where it is kept. */
  next({ entry, kept }: ParkedKey): LogRecord | undefined {
    return entry.redrive === undefined ? kept[0] : undefined
  }

  /** Puts a key in line by its due time; one that is busy or held comes in line when it is freed. */
  wait(parked: ParkedKey): void {
    const { dueMs } = parked.entry
    if (!parked.busy && dueMs !== null) this.#due.push(new Due(dueMs, parked))
  }

  /** When the next key is due; undefined when none is in line. */
  nextDueMs(): number | undefined {
    this.#dropStale()
    return this.#due.peek()?.dueMs
  }

  /** Takes the next key that is due by `nowMs` out of line. */
  takeDue(nowMs: number): ParkedKey | undefined {
    this.#dropStale()
    const next = this.#due.peek()
    if (next === undefined || next.dueMs > nowMs) return undefined
    this.#due.pop()
    return next.parked
  }

  *[Symbol.iterator](): IterableIterator<ParkedKey> {
    for (const keys of this.#topics.values()) yield* keys.values()
  }

  /** A place in line is stale when its key is gone, busy, or due at another time by now. */
  #dropStale(): void {
    for (let next = this.#due.peek(); next !== undefined; next = this.#due.peek()) {
      const { parked, dueMs } = next
      if (!parked.isGone && !parked.busy && parked.entry.dueMs === dueMs) return
      this.#due.pop()
    }
  }

  #keepOne(parked: ParkedKey, record: LogRecord): boolean {
    const { kept } = parked
    const hasRoom = this.#keptBytes + record.bytes <= mostKept.bytes && kept.length < mostKept.ofKey
    if (hasRoom) {
      parked.kept = kept.length === 0 ? [record] : [...kept, record]
      this.#keptBytes += record.bytes
    } else parked.isKeptWhole = false
    return hasRoom
  }

  /** Records below an offset are kept no longer. */
  #dropKept(parked: ParkedKey, before: Offset): void {
    const { kept } = parked
    let dropped = 0
    for (const { offset, bytes } of kept) {
      if (offset >= before) break
      dropped += 1
      this.#keptBytes -= bytes
    }
    if (dropped > 0) parked.kept = dropped === kept.length ? none : kept.slice(dropped)
  }
}
