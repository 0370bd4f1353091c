import type { Test } from './field-test.ts'
import type { Alternative } from './parsed-pattern.ts'
import { patternInvalid } from './pattern-invalid.ts'
import { type Wildcards, wildcardComplexity } from './wildcard.ts'

const maxComplexity = 10

/**
 * Throws `PATTERN_INVALID` where the wildcards of a field are too complex together: those of one list, and those of all
 * choices of `$or` that ask the same of the fields before it, because one automaton compares them all.
 */
export function checkWildcards(alternatives: readonly Alternative[]): void {
  if (!alternatives.some((fields) => fields.some(({ tests }) => tests.some(hasWildcards)))) return
  const automata = new Map<string, { readonly path: string; readonly expressions: Map<string, Wildcards> }>()
  for (const fields of alternatives) {
    let before = ''
    for (const { path, tests } of fields) {
      const key = `${before}\0${path}`
      const automaton = automata.get(key) ?? { path, expressions: new Map<string, Wildcards>() }
      for (const test of tests)
        if (hasWildcards(test)) automaton.expressions.set(idOf(test), wildcardsOf(test))
      automata.set(key, automaton)
      before = `${key}\0${tests.map(idOf).join()}`
    }
  }
  for (const { path, expressions } of automata.values()) {
    if (wildcardComplexity([...expressions.values()], maxComplexity + 1) <= maxComplexity) continue
    throw patternInvalid(
      'The wildcards of a field are too complex together.',
      path,
      'Use fewer asterisks, and repeat less of what follows one.',
    )
  }
}

function hasWildcards(test: Test): boolean {
  return test.kind === 'wildcard' || (test.kind === 'no-match' && test.tests.some(hasWildcards))
}

function wildcardsOf(test: Test): Wildcards {
  const tests = test.kind === 'no-match' ? test.tests : [test]
  return { texts: tests.flatMap((one) => (one.kind === 'wildcard' ? [one.pieces] : [])) }
}

function idOf(test: Test): string {
  return JSON.stringify(test, (_name, value: unknown) => (value instanceof Set ? [...value] : value))
}
