import { isHandlerState } from './state-layout.ts'

/** A value of the state: JSON text, or a value that is not changed any more and becomes JSON text when it is committed. */
export type Stored = string | object

/** What a key is known to have. */
export interface KnownValue {
  /** Undefined for a key that is not there. */
  readonly value: Stored | undefined
}

/** A key whose value is known. Whoever holds it on need not look for it by its text, until it is {@link KeptValue.isGone}. */
export class KeptValue implements KnownValue {
  readonly key: string
  value: Stored | undefined
  /** Of the step that wrote it; 0 for what was read. */
  sequence: number
  bytes: number
  /** Asked for, or written again, since it came or was last looked at whether it may go. */
  isUsed = false
  #isGone = false

  constructor(key: string, value: Stored | undefined, sequence: number, bytes: number) {
    this.key = key
    this.value = value
    this.sequence = sequence
    this.bytes = bytes
  }

  /** Whether what it has is not known any more. */
  get isGone(): boolean {
    return this.#isGone
  }

  /** It is not known any more. */
  letGo(): void {
    this.#isGone = true
    this.value = undefined
  }
}

/** What keeping a value takes beside its text, approximately. */
const overheadBytes = 128

/**
 * The values of a claim's keys as far as they are known: all that staged steps have written, which reads must see before it is
 * durable, and of the cells of handlers those that were in use lately. That is exact for as long as the claim holds, because
 * nobody else writes them. What is durable is bounded by bytes.
 */
export class KnownValues {
  readonly #values = new Map<string, KeptValue>()
  readonly #maxBytes: number
  #bytes = 0
  /** The last step that is durable. */
  #durable = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  get(key: string): KeptValue | undefined {
    const kept = this.#values.get(key)
    if (kept !== undefined) kept.isUsed = true
    return kept
  }

  /** A staged step writes a key; `kept`: what was known of it, if it was. */
  write(key: string, value: Stored | undefined, sequence: number, kept?: KeptValue): void {
    this.#keep(key, value, sequence, kept)
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
      if (kept !== undefined && kept.sequence <= sequence) this.#letGo(kept)
    }
    this.#durable = sequence
    this.#makeRoom()
  }

  clear(): void {
    for (const kept of this.#values.values()) kept.letGo()
    this.#values.clear()
    this.#bytes = 0
  }

  #keep(key: string, value: Stored | undefined, sequence: number, known?: KeptValue): void {
    const bytes = overheadBytes + key.length + (typeof value === 'string' ? value.length : 0)
    const kept = known === undefined || known.isGone ? this.#values.get(key) : known
    this.#bytes += bytes - (kept?.bytes ?? 0)
    if (kept === undefined) {
      this.#values.set(key, new KeptValue(key, value, sequence, bytes))
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
      if (!kept.isUsed) {
        this.#letGo(kept)
        continue
      }
      kept.isUsed = false
      this.#values.delete(key)
      this.#values.set(key, kept)
    }
  }

  #letGo(kept: KeptValue): void {
    this.#values.delete(kept.key)
    this.#bytes -= kept.bytes
    kept.letGo()
  }
}
