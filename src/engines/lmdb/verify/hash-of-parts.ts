import { createHash, type Hash } from 'node:crypto'

/** A hash of rows that come part by part, whatever order the parts come in. */
export class HashOfParts {
  readonly #parts = new Map<string, Hash>()

  /** Adds a row to the part of a name; rows of one part come in the order of their keys. */
  add(part: string, key: Uint8Array, value: Uint8Array): void {
    const hash = this.#parts.get(part) ?? createHash('sha256')
    this.#parts.set(part, hash)
    const lengths = new Uint32Array([key.length, value.length])
    hash.update(lengths).update(key).update(value)
  }

  /** The hash of all parts by their names. Call it once. */
  digest(): string {
    const whole = createHash('sha256')
    for (const [name, part] of [...this.#parts].sort(([one], [other]) => (one < other ? -1 : 1))) {
      whole.update(JSON.stringify([name, part.digest('hex')]))
    }
    return whole.digest('hex')
  }
}
