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

/** A match expression with wildcard texts, each as its pieces. */
export interface Wildcards {
  readonly texts: readonly (readonly string[])[]
}

/**
 * How many beginnings of wildcard texts one value can match at the same time, at worst, counted up to `limit`: a beginning
 * that texts share counts once for each expression that has it. It is what the cost of an automaton grows with, and what
 * EventBridge refuses patterns by.
 */
export function wildcardComplexity(expressions: readonly Wildcards[], limit: number): number {
  const machine = machineOf(expressions)
  const start = close(
    machine,
    machine.map((_, index) => [index, 0] as const),
  )
  const known = new Set<string>([keyOf(start)])
  const open = [start]
  let worst = 0
  for (let state = open.pop(); state !== undefined; state = open.pop()) {
    for (const character of awaited(machine, state)) {
      const next = close(machine, step(machine, state, character))
      const beginnings = new Set(next.map(([text, length]) => machine[text]?.beginnings[length]))
      worst = Math.max(worst, beginnings.size)
      if (worst >= limit || known.size > 10_000) return limit
      const key = keyOf(next)
      if (!known.has(key)) open.push(next)
      known.add(key)
    }
  }
  return worst
}

/** One wildcard text: its characters, and for each length the number of the beginning that it is. */
interface Track {
  readonly characters: readonly string[]
  readonly beginnings: readonly number[]
}

type Machine = readonly Track[]
type Place = readonly [text: number, length: number]
const star = ''

function machineOf(expressions: readonly Wildcards[]): Machine {
  const numbers = new Map<string, number>()
  return expressions.flatMap(({ texts }, index) =>
    texts.map((pieces) => {
      const characters = charactersOf(pieces)
      const beginnings = [-1 - index]
      for (const character of characters) {
        const key = `${beginnings[beginnings.length - 1]} ${character}`
        const number = numbers.get(key) ?? numbers.size
        numbers.set(key, number)
        beginnings.push(number)
      }
      return { characters, beginnings }
    }),
  )
}

/** The characters of a wildcard text, between the quotes that its value has in JSON: those count as beginnings, too. */
function charactersOf(pieces: readonly string[]): string[] {
  const between = pieces.flatMap((piece, index) => (index === 0 ? [...piece] : [star, ...piece]))
  return ['"', ...between, '"']
}

/** The characters that lead somewhere: any other leaves no more than what each of these leaves. */
function awaited(machine: Machine, state: readonly Place[]): ReadonlySet<string> {
  const characters = new Set(state.map(([text, length]) => machine[text]?.characters[length] ?? star))
  characters.delete(star)
  return characters
}

function step(machine: Machine, state: readonly Place[], character: string): Place[] {
  return state.flatMap(([text, length]): Place[] => {
    const characters = machine[text]?.characters ?? []
    const stays: Place[] = characters[length - 1] === star ? [[text, length]] : []
    return characters[length] === character ? [...stays, [text, length + 1]] : stays
  })
}

/** Adds what an asterisk that stands for nothing leads to. */
function close(machine: Machine, state: readonly Place[]): Place[] {
  const closed = new Map(state.map((place) => [place.join(), place]))
  for (const [text, length] of closed.values()) {
    if (machine[text]?.characters[length] === star) closed.set(`${text},${length + 1}`, [text, length + 1])
  }
  return [...closed.values()]
}

function keyOf(state: readonly Place[]): string {
  return state
    .map((place) => place.join())
    .sort()
    .join(' ')
}
