/** Routing keys: words with dots between them. `*` stands for one word and `>`, at the end, for one or more, as in NATS. */

/** Whether a key is one of those that the words of a pattern stand for. */
export function matchesRoutingKey(words: readonly string[], key: string): boolean {
  let from = 0
  for (const word of words) {
    if (word === '>') return from <= key.length
    if (from > key.length) return false
    const dot = key.indexOf('.', from)
    const end = dot < 0 ? key.length : dot
    if (word !== '*' && (end - from !== word.length || !key.startsWith(word, from))) return false
    from = end + 1
  }
  return from === key.length + 1
}
