/**
 * Finds wildcards by what stands between their asterisks: four characters of a piece (or as many as it has), by a number made
 * of them. Different characters may make the same number, so what is found is compared again.
 */
export class PieceIndex<T> {
  readonly #bySize: (Map<number, T> | undefined)[] = []
  #size = 0

  get size(): number {
    return this.#size
  }

  at(piece: string, make?: () => T): T | undefined {
    const size = Math.min(piece.length, 4)
    let kept = this.#bySize[size]
    if (kept === undefined) {
      if (make === undefined) return undefined
      kept = new Map()
      this.#bySize[size] = kept
    }
    const number = numberOf(piece, 0, size)
    const known = kept.get(number)
    if (known !== undefined || make === undefined) return known
    const made = make()
    kept.set(number, made)
    this.#size += 1
    return made
  }

  delete(piece: string): void {
    const size = Math.min(piece.length, 4)
    const kept = this.#bySize[size]
    if (kept?.delete(numberOf(piece, 0, size))) this.#size -= 1
    if (kept?.size === 0) this.#bySize[size] = undefined
  }

  visit(value: string, visitor: (kept: T) => void): void {
    for (let size = 1; size <= 4; size += 1) {
      const kept = this.#bySize[size]
      if (kept === undefined) continue
      for (let from = 0; from + size <= value.length; from += 1) {
        const found = kept.get(numberOf(value, from, size))
        if (found !== undefined) visitor(found)
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
