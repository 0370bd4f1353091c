import TinyQueue from 'tinyqueue'
import type { ParkedEntry } from './parked-entry.ts'
import type { PartitionState } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import { endOfPrefix, stateLayout } from './state-layout.ts'

/** A parked key of one subscription. */
export interface ParkedKey {
  readonly topic: string
  readonly key: string
  entry: ParkedEntry
  /** An attempt for it is running, or has timed out and not ended. */
  busy: boolean
  /** Records of the key that were read ahead while looking for the next one. */
  ahead: LogRecord[]
  /** The record that is tried again, where there was room to keep it. */
  kept?: LogRecord | undefined
}

/** Beyond so many parked keys a subscription reads nothing new. */
export const maxParkedKeys = 10_000

/** So many bytes of records that are tried again stay in memory; the others are read again. */
const maxKeptBytes = 64 * 1024

/**
 * The parked keys of one subscription in one partition: a copy of the durable entries, so that a record is found to be of
 * a parked key without a look-up, and the order in which they are due. Loaded when the partition is claimed.
 */
export class ParkedKeys {
  readonly #handler: string
  readonly #keys = new Map<string, ParkedKey>()
  readonly #due = new TinyQueue<{ readonly dueMs: number; readonly name: string }>(
    [],
    (a, b) => a.dueMs - b.dueMs,
  )
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
      for (const { key, text } of found) {
        this.set({ topic, key: key.slice(prefix.length), entry: JSON.parse(text), busy: false, ahead: [] })
      }
      const last = found.at(-1)
      if (found.length < 1_000 || last === undefined) return
      from = `${last.key}\u0000`
    }
  }

  get size(): number {
    return this.#keys.size
  }

  /** The parked key of a topic. Mostly there is none at all, and no name is put together to find that out. */
  get(topic: string, key: string): ParkedKey | undefined {
    return this.#keys.size === 0 ? undefined : this.#keys.get(laneName(topic, key))
  }

  /** Adds a key, or takes note of its new entry. */
  set(parked: ParkedKey): void {
    const name = laneName(parked.topic, parked.key)
    this.#keys.set(name, parked)
    this.wait(parked)
  }

  remove(parked: ParkedKey): void {
    this.takeKept(parked)
    this.#keys.delete(laneName(parked.topic, parked.key))
  }

  /** Keeps the record that a key is tried again with, if there is room for it: most are tried again soon. */
  keep(parked: ParkedKey, record: LogRecord): void {
    this.takeKept(parked)
    if (this.#keptBytes + record.bytes > maxKeptBytes) return
    parked.kept = record
    this.#keptBytes += record.bytes
  }

  /** The record that was kept for a key, which is kept no longer. */
  takeKept(parked: ParkedKey): LogRecord | undefined {
    const { kept } = parked
    parked.kept = undefined
    this.#keptBytes -= kept?.bytes ?? 0
    return kept
  }

  /** Puts a key in line by its due time; one that is busy or held comes in line when it is freed. */
  wait(parked: ParkedKey): void {
    if (parked.busy || parked.entry.dueMs === null) return
    this.#due.push({ dueMs: parked.entry.dueMs, name: laneName(parked.topic, parked.key) })
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
    return this.#keys.get(next.name)
  }

  [Symbol.iterator](): IterableIterator<ParkedKey> {
    return this.#keys.values()
  }

  /** A place in line is stale when its key is gone, busy, or due at another time by now. */
  #dropStale(): void {
    for (let next = this.#due.peek(); next !== undefined; next = this.#due.peek()) {
      const parked = this.#keys.get(next.name)
      if (parked !== undefined && !parked.busy && parked.entry.dueMs === next.dueMs) return
      this.#due.pop()
    }
  }
}

/** What order is kept by: a key of a topic. Topic names hold no NUL. */
export function laneName(topic: string, key: string): string {
  return `${topic}\u0000${key}`
}
