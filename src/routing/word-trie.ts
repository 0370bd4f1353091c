import { Bucket } from './bucket.ts'

/** Finds routing-key patterns by the words of a key: at each word by the word itself, by `*`, and by `>`. */
export class WordTrie<T> {
  readonly #root = new Node<T>()
  #size = 0

  get size(): number {
    return this.#size
  }

  at(words: readonly string[], make = false): Bucket<T> | undefined {
    let node = this.#root
    for (const word of words) {
      const next = childOf(node, word) ?? (make ? addChild(node, word) : undefined)
      if (next === undefined) return undefined
      node = next
    }
    if (node.kept === undefined && make) {
      node.kept = new Bucket()
      this.#size += 1
    }
    return node.kept
  }

  delete(words: readonly string[]): void {
    if (remove(this.#root, words, 0)) this.#size -= 1
  }

  visit(key: string, visitor: (item: T) => void): void {
    walk(this.#root, key, 0, visitor)
  }
}

class Node<T> {
  kept: Bucket<T> | undefined = undefined
  /** Where `*` leads. */
  any: Node<T> | undefined = undefined
  /** Where `>` leads. */
  rest: Node<T> | undefined = undefined
  words: Map<string, Node<T>> | undefined = undefined
}

function childOf<T>(node: Node<T>, word: string): Node<T> | undefined {
  if (word === '*') return node.any
  return word === '>' ? node.rest : node.words?.get(word)
}

function addChild<T>(node: Node<T>, word: string): Node<T> {
  const child = new Node<T>()
  if (word === '*') node.any = child
  else if (word === '>') node.rest = child
  else {
    node.words ??= new Map()
    node.words.set(word, child)
  }
  return child
}

/** Forgets what is kept under the words, and the nodes that then lead nowhere; says whether there was something. */
function remove<T>(node: Node<T>, words: readonly string[], depth: number): boolean {
  const word = words[depth]
  if (word === undefined) {
    const kept = node.kept !== undefined
    node.kept = undefined
    return kept
  }
  const next = childOf(node, word)
  if (next === undefined) return false
  const removed = remove(next, words, depth + 1)
  if (
    next.kept !== undefined ||
    next.any !== undefined ||
    next.rest !== undefined ||
    next.words !== undefined
  )
    return removed
  if (word === '*') node.any = undefined
  else if (word === '>') node.rest = undefined
  else if (node.words?.delete(word) && node.words.size === 0) node.words = undefined
  return removed
}

/** Goes on from the word that begins at `from`; there is none behind the end of the key. */
function walk<T>(node: Node<T>, key: string, from: number, visitor: (item: T) => void): void {
  if (from > key.length) {
    node.kept?.visit(visitor)
    return
  }
  node.rest?.kept?.visit(visitor)
  if (node.any === undefined && node.words === undefined) return
  const dot = key.indexOf('.', from)
  const end = dot < 0 ? key.length : dot
  if (node.any !== undefined) walk(node.any, key, end + 1, visitor)
  const exact = node.words?.get(key.slice(from, end))
  if (exact !== undefined) walk(exact, key, end + 1, visitor)
}
