/**
 * Patterns of event types, as NATS has them for subjects: types are words with dots between them; `*` stands for exactly
 * one word and `>`, at the end, for one or more.
 */

/** What is wrong with a pattern; undefined where nothing is. */
export function typePatternFault(pattern: string): string | undefined {
  const tokens = pattern.split('.')
  if (tokens.includes('')) return 'has an empty word'
  if (tokens.slice(0, -1).includes('>')) return "has '>' before its end"
  if (tokens.some((token) => token.length > 1 && /[*>]/.test(token))) return 'has a wildcard within a word'
  return undefined
}

/** Whether an event type is one of those that a pattern without fault stands for. */
export function matchesType(pattern: string, type: string): boolean {
  const wanted = pattern.split('.')
  const words = type.split('.')
  const open = wanted.at(-1) === '>'
  if (open ? words.length < wanted.length : words.length !== wanted.length) return false
  const fixed = open ? wanted.slice(0, -1) : wanted
  return fixed.every((token, index) => token === '*' || token === words[index])
}

/** Whether an event type is one of those that any of the patterns stands for; every type where there are none. */
export function matchesAnyType(patterns: readonly string[], type: string): boolean {
  return patterns.length === 0 || patterns.some((pattern) => matchesType(pattern, type))
}
