/** Finds everything that is kept under a beginning (or, read backwards, an end) of a text: one step for each character. */
export class TextTrie<T> {
  readonly #root = new Node<T>()
  readonly #backwards: boolean
  #size = 0

  constructor(direction: 'forwards' | 'backwards') {
    this.#backwards = direction === 'backwards'
  }

  get size(): number {
    return this.#size
  }

  /** What is kept under exactly this text; made when `make` is given. */
  at(text: string, make?: () => T): T | undefined {
    let node = this.#root
    for (let step = 0; step < text.length; step += 1) {
      const code = text.charCodeAt(this.#backwards ? text.length - 1 - step : step)
      let next = node.children.get(code)
      if (next === undefined) {
        if (make === undefined) return undefined
        next = new Node()
        node.children.set(code, next)
      }
      node = next
    }
    if (node.kept === undefined && make !== undefined) {
      node.kept = make()
      this.#size += 1
    }
    return node.kept
  }

  /** Forgets what is kept under a text. */
  delete(text: string): void {
    const path = [this.#root]
    for (let step = 0; step < text.length; step += 1) {
      const code = text.charCodeAt(this.#backwards ? text.length - 1 - step : step)
      const next = path[step]?.children.get(code)
      if (next === undefined) return
      path.push(next)
    }
    const last = path[text.length]
    if (last?.kept === undefined) return
    last.kept = undefined
    this.#size -= 1
    for (let step = text.length; step > 0; step -= 1) {
      const node = path[step]
      if (node === undefined || node.kept !== undefined || node.children.size > 0) return
      path[step - 1]?.children.delete(text.charCodeAt(this.#backwards ? text.length - step : step - 1))
    }
  }

  /** Visits what is kept under any beginning (or end) of a value, the empty one included. */
  visit(value: string, visitor: (kept: T) => void): void {
    let node: Node<T> | undefined = this.#root
    const { length } = value
    for (let step = 0; ; step += 1) {
      if (node.kept !== undefined) visitor(node.kept)
      if (step === length || node.children.size === 0) return
      node = node.children.get(value.charCodeAt(this.#backwards ? length - 1 - step : step))
      if (node === undefined) return
    }
  }
}

class Node<T> {
  kept: T | undefined = undefined
  readonly children = new Map<number, Node<T>>()
}
