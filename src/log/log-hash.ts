import { createHash, type Hash } from 'node:crypto'
import type { ClaimName } from './moving.ts'
import type { KeyValue, Place, StoredRecord } from './port.ts'

/** Of a record: its offset, its time, and how long its value is. */
const recordHeadBytes = 20

/**
 * Hashes records, by their offsets, times and values. The same records have the same hash whatever engine has them, so a
 * backup of a log and the log that it was moved to can be compared. Part of the format of backups: it must never change.
 */
export class RecordHash {
  readonly #parts = new HashOfParts()
  readonly #head = Buffer.alloc(recordHeadBytes)

  /** Adds a record; those of one place come in the order of their offsets, and places in any order. */
  add({ topic, partition }: Place, { offset, timeMs, value }: StoredRecord): void {
    this.#head.writeDoubleLE(offset, 0)
    this.#head.writeDoubleLE(timeMs, 8)
    this.#head.writeUInt32LE(value.length, 16)
    this.#parts.of(topic, partition).update(this.#head).update(value)
  }

  /** SHA-256 of the records of a place, in hexadecimal, when all of them were added. */
  endPlace({ topic, partition }: Place): string {
    return this.#parts.end(topic, partition)
  }

  /** SHA-256 of everything, in hexadecimal. Call it once. */
  digest(): string {
    return this.#parts.digest()
  }
}

/** Hashes values of the state of claims, as {@link RecordHash} does records. */
export class StateHash {
  readonly #parts = new HashOfParts()
  readonly #head = Buffer.alloc(8)

  /** Adds a value; those of one claim come in the order of their keys' bytes, and claims in any order. */
  add({ group, partition }: ClaimName, { key, value }: KeyValue): void {
    const keyBytes = Buffer.from(key)
    this.#head.writeUInt32LE(keyBytes.length, 0)
    this.#head.writeUInt32LE(value.length, 4)
    this.#parts.of(group, partition).update(this.#head).update(keyBytes).update(value)
  }

  /** SHA-256 of the values of a claim, in hexadecimal, when all of them were added. */
  endClaim({ group, partition }: ClaimName): string {
    return this.#parts.end(group, partition)
  }

  /** SHA-256 of everything, in hexadecimal. Call it once. */
  digest(): string {
    return this.#parts.digest()
  }
}

/** One hash of many rows whose parts come in any order. A part without rows counts for nothing. */
class HashOfParts {
  readonly #parts = new Map<string, Hash>()
  readonly #ended = new Map<string, string>()
  #name: string | undefined
  #part: Hash | undefined

  of(name: string, partition: number): Hash {
    const part = `${name}/${partition}`
    if (part === this.#name && this.#part !== undefined) return this.#part
    const hash = this.#parts.get(part) ?? createHash('sha256')
    this.#parts.set(part, hash)
    this.#name = part
    this.#part = hash
    return hash
  }

  end(name: string, partition: number): string {
    const part = `${name}/${partition}`
    const hash = this.#parts.get(part)
    if (hash === undefined) return ''
    const digest = hash.digest('hex')
    this.#parts.delete(part)
    this.#ended.set(part, digest)
    if (this.#name === part) this.#name = undefined
    return digest
  }

  digest(): string {
    for (const [part, hash] of this.#parts) this.#ended.set(part, hash.digest('hex'))
    const whole = createHash('sha256')
    for (const [name, digest] of [...this.#ended].sort(([one], [other]) => (one < other ? -1 : 1))) {
      whole.update(JSON.stringify([name, digest]))
    }
    return whole.digest('hex')
  }
}
