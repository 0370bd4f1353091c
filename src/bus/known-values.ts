import { isHandlerState } from './state-layout.ts'

/** A value of the state: JSON text, or a value that is not changed any more and becomes JSON text when it is committed. */
export type Stored = string | object

/** What a key is known to have. */
export interface KnownValue {
  /** Undefined for a key that is not there. */
  readonly value: Stored | undefined
}

interface Kept {
  value: Stored | undefined
  /** Of the step that wrote it; 0 for what was read. */
  sequence: number
  bytes: number
  /** Asked for, or written again, since it came or was last looked at whether it may go. */
  isUsed: boolean
}

/** What keeping a value takes beside its text, approximately. */
const overheadBytes = 128

/**
 * The values of a claim's keys as far as they are known: all that staged steps have written, which reads must see before it is
 * durable, and of the cells of handlers those that were in use lately. That is exact for as long as the claim holds, because
 * nobody else writes them. What is durable is bounded by bytes.
 */
export class KnownValues {
  readonly #values = new Map<string, Kept>()
  readonly #maxBytes: number
  #bytes = 0
  /** The last step that is durable. */
  #durable = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(key: string): KnownValue | undefined {
    const kept = this.#values.get(key)
    if (kept !== undefined) kept.isUsed = true
    return kept
  }

  /** A staged step writes a key. */
  write(key: string, value: Stored | undefined, sequence: number): void {
    this.#keep(key, value, sequence)
  }

  /** A durable value was read. */
  remember(key: string, value: string | undefined): void {
    if (!isHandlerState(key)) return
    this.#keep(key, value, 0)
    this.#makeRoom()
  }

  /** All steps up to `sequence` are durable; `keys` is what the last of them have written. */
  settle(keys: Iterable<string>, sequence: number): void {
    for (const key of keys) {
      if (isHandlerState(key)) continue
      const kept = this.#values.get(key)
      if (kept !== undefined && kept.sequence <= sequence) this.#delete(key, kept)
    }
    this.#durable = sequence
    this.#makeRoom()
  }

  clear(): void {
    this.#values.clear()
    this.#bytes = 0
  }

  #keep(key: string, value: Stored | undefined, sequence: number): void {
    const bytes = overheadBytes + key.length + (typeof value === 'string' ? value.length : 0)
    const kept = this.#values.get(key)
    this.#bytes += bytes - (kept?.bytes ?? 0)
    if (kept === undefined) {
      this.#values.set(key, { value, sequence, bytes, isUsed: false })
      return
    }
    kept.value = value
    kept.sequence = sequence
    kept.bytes = bytes
    kept.isUsed = true
  }

  /** Lets durable values go, the oldest first; one that was used meanwhile gets a second chance. */
  #makeRoom(): void {
    if (this.#bytes <= this.#maxBytes) return
    for (const [key, kept] of this.#values) {
      if (this.#bytes <= this.#maxBytes) return
      if (kept.sequence > this.#durable) continue
      this.#delete(key, kept)
      if (!kept.isUsed) continue
      kept.isUsed = false
      this.#values.set(key, kept)
      this.#bytes += kept.bytes
    }
  }

  #delete(key: string, kept: Kept): void {
    this.#values.delete(key)
    this.#bytes -= kept.bytes
  }
}
