import { Bucket } from './bucket.ts'

/** What is kept under texts of one length, by a number made of their characters; texts with the same number are a list. */
type Texts<T> = Map<number, Bucket<T> | Bucket<T>[]>

/**
 * Finds everything that is kept under a beginning (or, read backwards, an end) of a text: apart for each length, so that one walk
 * along a value asks once for each length there is.
 */
export class AffixIndex<T> {
  readonly #byLength: (Texts<T> | undefined)[] = []
  readonly #backwards: boolean
  #size = 0

  constructor(direction: 'forwards' | 'backwards') {
    this.#backwards = direction === 'backwards'
  }

  get size(): number {
    return this.#size
  }

  /** What is kept under this text; made when `make` is true. */
  at(text: string, make = false): Bucket<T> | undefined {
    const number = this.#numberOf(text)
    const same = listOf(this.#byLength[text.length]?.get(number))
    const known = same.find((bucket) => bucket.text === text)
    if (known !== undefined || !make) return known
    while (this.#byLength.length < text.length) this.#byLength.push(undefined)
    const texts: Texts<T> = this.#byLength[text.length] ?? new Map()
    this.#byLength[text.length] = texts
    const made = new Bucket<T>(text)
    texts.set(number, same.length === 0 ? made : [...same, made])
    this.#size += 1
    return made
  }

  /** Forgets what is kept under a text. */
  delete(text: string): void {
    const texts = this.#byLength[text.length]
    const number = this.#numberOf(text)
    const same = listOf(texts?.get(number))
    const others = same.filter((bucket) => bucket.text !== text)
    if (texts === undefined || others.length === same.length) return
    this.#size -= 1
    if (others.length > 0) texts.set(number, others)
    else texts.delete(number)
    if (texts.size === 0) this.#byLength[text.length] = undefined
    while (this.#byLength.length > 0 && this.#byLength.at(-1) === undefined) this.#byLength.pop()
  }

  /** Visits what is kept under any beginning (or end) of a value, the empty one included. */
  visit(value: string, visitor: (item: T) => void): void {
    const lengths = this.#byLength
    const longest = Math.min(value.length, lengths.length - 1)
    let number = 0
    for (let length = 0; ; length += 1) {
      const found = lengths[length]?.get(number)
      if (found instanceof Bucket) this.#check(value, found, visitor)
      else if (found !== undefined) for (const bucket of found) this.#check(value, bucket, visitor)
      if (length >= longest) return
      number = next(number, value.charCodeAt(this.#backwards ? value.length - 1 - length : length))
    }
  }

  /** Another text can make the same number. */
  #check(value: string, bucket: Bucket<T>, visitor: (item: T) => void): void {
    const { text } = bucket
    if (this.#backwards ? value.endsWith(text) : value.startsWith(text)) bucket.visit(visitor)
  }

  #numberOf(text: string): number {
    let number = 0
    for (let step = 0; step < text.length; step += 1) {
      number = next(number, text.charCodeAt(this.#backwards ? text.length - 1 - step : step))
    }
    return number
  }
}

function listOf<T>(found: Bucket<T> | Bucket<T>[] | undefined): readonly Bucket<T>[] {
  if (found === undefined) return []
  return found instanceof Bucket ? [found] : found
}

function next(number: number, code: number): number {
  return (Math.imul(number, 0x1f1f) + code) & 0x3fffffff
}
