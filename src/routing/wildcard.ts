/**
 * Wildcards: `*` stands for any text, also for none; `\*` and `\\` for the asterisk and the backslash themselves. Kept as the
 * literal pieces between the asterisks, so that a value is compared by a few searches, without going back.
 */

/** The literal pieces of a wildcard text, or what is wrong with it. */
export function wildcardPieces(text: string): readonly string[] | { readonly fault: string } {
  const pieces = ['']
  for (let index = 0; index < text.length; index += 1) {
    const character = text.charAt(index)
    if (character === '*') {
      if (text.charAt(index + 1) === '*') return { fault: `has two asterisks in a row, at ${index + 1}` }
      pieces.push('')
      continue
    }
    if (character === '\\') {
      index += 1
      if (!'*\\'.includes(text.charAt(index) || ' ')) {
        return { fault: `has a backslash at ${index} before something else than * or \\` }
      }
    }
    pieces.push(pieces.pop() + text.charAt(index))
  }
  return pieces
}

/** Whether a value is one of those that a wildcard stands for. */
export function matchesWildcard(pieces: readonly string[], value: string): boolean {
  const first = pieces[0] ?? ''
  if (pieces.length === 1) return value === first
  const last = pieces[pieces.length - 1] ?? ''
  const end = value.length - last.length
  if (end < first.length || !value.startsWith(first) || !value.endsWith(last)) return false
  let from = first.length
  for (let index = 1; index < pieces.length - 1; index += 1) {
    const piece = pieces[index] ?? ''
    const found = value.indexOf(piece, from)
    if (found < 0) return false
    from = found + piece.length
  }
  return from <= end
}

/**
 * How many beginnings of the wildcard texts one value can match at the same time, at worst, counted up to `limit`. It is
 * what the cost of an automaton grows with, and what EventBridge refuses patterns by.
 */
export function wildcardComplexity(texts: readonly (readonly string[])[], limit: number): number {
  const machine = texts.map((pieces) => tokens(pieces))
  const alphabet = new Set(machine.flat())
  alphabet.delete(star)
  const start = close(
    machine,
    machine.map((_, index) => [index, 0] as const),
  )
  const known = new Set<string>([keyOf(start)])
  const open = [start]
  let worst = 0
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const character of alphabet) {
      const next = close(machine, step(machine, state, character))
      if (next.length > worst) worst = next.length
      if (worst >= limit || known.size > 10_000) return limit
      const key = keyOf(next)
      if (next.length > 0 && !known.has(key)) open.push(next)
      known.add(key)
    }
  }
  return worst
}

type Place = readonly [text: number, length: number]
const star = ''

/** The characters of a wildcard text, between the quotes that its value has in JSON: those count as beginnings, too. */
function tokens(pieces: readonly string[]): string[] {
  const between = pieces.flatMap((piece, index) => (index === 0 ? [...piece] : [star, ...piece]))
  return ['"', ...between, '"']
}

function step(machine: readonly (readonly string[])[], state: readonly Place[], character: string): Place[] {
  return state.flatMap(([text, length]): Place[] => {
    const stays: Place[] = machine[text]?.[length - 1] === star ? [[text, length]] : []
    return machine[text]?.[length] === character ? [...stays, [text, length + 1]] : stays
  })
}

/** Adds what an asterisk that stands for nothing leads to. */
function close(machine: readonly (readonly string[])[], state: readonly Place[]): Place[] {
  const closed = new Map(state.map((place) => [place.join(), place]))
  for (const [text, length] of closed.values()) {
    if (machine[text]?.[length] === star) closed.set(`${text},${length + 1}`, [text, length + 1])
  }
  return [...closed.values()]
}

function keyOf(state: readonly Place[]): string {
  return state
    .map((place) => place.join())
    .sort()
    .join(' ')
}
