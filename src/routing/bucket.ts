/** What an index keeps under one key: mostly one item, which is then found without a list of its own. */
export class Bucket<T> {
  /** What the items are kept under, for an index that finds them by a number made of it. */
  readonly text: string
  #first: T | undefined = undefined
  readonly #others: T[] = []

  constructor(text = '') {
    this.text = text
  }

  get size(): number {
    return (this.#first === undefined ? 0 : 1) + this.#others.length
  }

  add(item: T): void {
    if (this.#first === undefined) this.#first = item
    else this.#others.push(item)
  }

  delete(item: T): boolean {
    if (this.#first === item) {
      this.#first = this.#others.pop()
      return true
    }
    const at = this.#others.indexOf(item)
    if (at >= 0) this.#others.splice(at, 1)
    return at >= 0
  }

  visit(visitor: (item: T) => void): void {
    if (this.#first !== undefined) visitor(this.#first)
    const others = this.#others
    for (let index = 0; index < others.length; index += 1) visitor(others[index] as T)
  }
}
