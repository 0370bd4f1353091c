/**
 * Finds everything that is kept under a beginning (or, read backwards, an end) of a text: by a number made of its characters, and
 * apart for each length, so that one walk along a value asks once for each length there is. Different texts may make the same
 * number, so what is found is compared again.
 */
export class AffixIndex<T> {
  readonly #byLength: (Map<number, T> | undefined)[] = []
  readonly #backwards: boolean
  #size = 0

  constructor(direction: 'forwards' | 'backwards') {
    this.#backwards = direction === 'backwards'
  }

  get size(): number {
    return this.#size
  }

  /** What is kept under this text; made when `make` is given. */
  at(text: string, make?: () => T): T | undefined {
    const number = this.#numberOf(text)
    const known = this.#byLength[text.length]?.get(number)
    if (known !== undefined || make === undefined) return known
    while (this.#byLength.length < text.length) this.#byLength.push(undefined)
    const kept = this.#byLength[text.length] ?? new Map<number, T>()
    this.#byLength[text.length] = kept
    const made = make()
    kept.set(number, made)
    this.#size += 1
    return made
  }

  /** Forgets what is kept under a text. */
  delete(text: string): void {
    const kept = this.#byLength[text.length]
    if (kept?.delete(this.#numberOf(text))) this.#size -= 1
    if (kept?.size === 0) this.#byLength[text.length] = undefined
    while (this.#byLength.length > 0 && this.#byLength.at(-1) === undefined) this.#byLength.pop()
  }

  /** Visits what is kept under any beginning (or end) of a value, the empty one included. */
  visit(value: string, visitor: (kept: T) => void): void {
    const lengths = this.#byLength
    const longest = Math.min(value.length, lengths.length - 1)
    let number = 0
    for (let length = 0; ; length += 1) {
      const found = lengths[length]?.get(number)
      if (found !== undefined) visitor(found)
      if (length >= longest) return
      number = next(number, value.charCodeAt(this.#backwards ? value.length - 1 - length : length))
    }
  }

  #numberOf(text: string): number {
    let number = 0
    for (let step = 0; step < text.length; step += 1) {
      number = next(number, text.charCodeAt(this.#backwards ? text.length - 1 - step : step))
    }
    return number
  }
}

function next(number: number, code: number): number {
  return (Math.imul(number, 0x1f1f) + code) & 0x3fffffff
}
