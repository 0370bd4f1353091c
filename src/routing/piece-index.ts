import { Bucket } from './bucket.ts'

const maxSize = 8

/**
 * Finds wildcards by what stands between their asterisks: eight characters of a piece (or as many as it has), by a number made
 * of them. Different characters may make the same number, so what is found is compared again.
 */
export class PieceIndex<T> {
  readonly #bySize: (Map<number, Bucket<T>> | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  at(piece: string, make = false): Bucket<T> | undefined {
    const size = Math.min(piece.length, maxSize)
    const number = numberOf(piece, 0, size)
    const known = this.#bySize[size]?.get(number)
    if (known !== undefined || !make) return known
    while (this.#bySize.length < size) this.#bySize.push(undefined)
    const kept = this.#bySize[size] ?? new Map<number, Bucket<T>>()
    this.#bySize[size] = kept
    const made = new Bucket<T>()
    kept.set(number, made)
    this.#size += 1
    return made
  }

  delete(piece: string): void {
    const size = Math.min(piece.length, maxSize)
    const kept = this.#bySize[size]
    if (kept?.delete(numberOf(piece, 0, size))) this.#size -= 1
    if (kept?.size === 0) this.#bySize[size] = undefined
  }

  visit(value: string, visitor: (item: T) => void): void {
    for (let size = 1; size < this.#bySize.length; size += 1) {
      const kept = this.#bySize[size]
      if (kept === undefined) continue
      for (let from = 0; from + size <= value.length; from += 1) {
        kept.get(numberOf(value, from, size))?.visit(visitor)
      }
    }
  }
}

function numberOf(text: string, from: number, size: number): number {
  let number = 0
  for (let index = from; index < from + size; index += 1) {
    number = (Math.imul(number, 0x1f1f) + text.charCodeAt(index)) & 0x3fffffff
  }
  return number
}
