import type { Test } from './field-test.ts'
import { LongNumber } from './long-number.ts'
import { described, patternInvalid } from './pattern-invalid.ts'

const fix = 'Write ["=", 5], ["<", 5], or a lower bound and then an upper one: [">", 0, "<=", 5].'

/** The test of `{ numeric: [...] }`. */
export function parseNumeric(operand: unknown, path: string): Test {
  if (!Array.isArray(operand)) throw patternInvalid(`Needs a list, not ${described(operand)}.`, path, fix)
  const terms: readonly unknown[] = operand
  if (terms.length !== 2 && terms.length !== 4) {
    throw patternInvalid(`Needs pairs of an operator and a number; the list has ${terms.length}.`, path, fix)
  }
  const [operator, value] = [terms[0], number(terms[1], `${path}[1]`)]
  if (terms.length === 4) return between(operator, value, terms, path)
  if (operator === '=') return { kind: 'equals', value }
  const open = operator === '<' || operator === '>'
  if (operator === '<' || operator === '<=') {
    return { kind: 'range', low: -Infinity, lowOpen: false, high: value, highOpen: open }
  }
  if (operator === '>' || operator === '>=') {
    return { kind: 'range', low: value, lowOpen: open, high: Infinity, highOpen: false }
  }
  throw patternInvalid(`${described(operator)} is no operator of numbers.`, `${path}[0]`, fix)
}

function between(lower: unknown, low: number, terms: readonly unknown[], path: string): Test {
  const upper = terms[2]
  if (lower !== '>' && lower !== '>=') {
    throw patternInvalid(`${described(lower)} is no lower bound.`, `${path}[0]`, fix)
  }
  if (upper !== '<' && upper !== '<=') {
    throw patternInvalid(`${described(upper)} is no upper bound.`, `${path}[2]`, fix)
  }
  const high = number(terms[3], `${path}[3]`)
  if (low >= high) {
    throw patternInvalid(`The lower bound ${low} is not below the upper bound ${high}.`, path, fix)
  }
  return { kind: 'range', low, lowOpen: lower === '>', high, highOpen: upper === '<' }
}

function number(value: unknown, path: string): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value
  const what = value instanceof LongNumber ? `${value.text}, which no double is equal to` : described(value)
  throw patternInvalid(`Needs a number, not ${what}.`, path, fix)
}
