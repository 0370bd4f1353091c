/** Finds routing-key patterns by the words of a key: at each word by the word itself, by `*`, and by `>`. */
export class WordTrie<T> {
  readonly #root = new Node<T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  at(words: readonly string[], make?: () => T): T | undefined {
    let node = this.#root
    for (const word of words) {
      let next = node.children.get(word)
      if (next === undefined) {
        if (make === undefined) return undefined
        next = new Node()
        node.children.set(word, next)
      }
      node = next
    }
    if (node.kept === undefined && make !== undefined) {
      node.kept = make()
      this.#size += 1
    }
    return node.kept
  }

  delete(words: readonly string[]): void {
    if (remove(this.#root, words, 0)) this.#size -= 1
  }

  visit(key: string, visitor: (kept: T) => void): void {
    walk(this.#root, key.split('.'), 0, visitor)
  }
}

class Node<T> {
  kept: T | undefined = undefined
  readonly children = new Map<string, Node<T>>()
}

/** Forgets what is kept under the words, and the nodes that then lead nowhere; says whether there was something. */
function remove<T>(node: Node<T>, words: readonly string[], depth: number): boolean {
  const word = words[depth]
  if (word === undefined) {
    const kept = node.kept !== undefined
    node.kept = undefined
    return kept
  }
  const next = node.children.get(word)
  if (next === undefined) return false
  const removed = remove(next, words, depth + 1)
  if (next.kept === undefined && next.children.size === 0) node.children.delete(word)
  return removed
}

function walk<T>(node: Node<T>, words: readonly string[], depth: number, visitor: (kept: T) => void): void {
  const word = words[depth]
  if (word === undefined) {
    if (node.kept !== undefined) visitor(node.kept)
    return
  }
  const rest = node.children.get('>')?.kept
  if (rest !== undefined) visitor(rest)
  const any = node.children.get('*')
  if (any !== undefined) walk(any, words, depth + 1, visitor)
  const exact = node.children.get(word)
  if (exact !== undefined && word !== '*' && word !== '>') walk(exact, words, depth + 1, visitor)
}
