import { typePatternFault } from '../core/type-pattern.ts'
import type { Test } from './field-test.ts'
import { blockOf, readAddress } from './ip-address.ts'
import { looseText } from './letter-case.ts'
import { LongNumber } from './long-number.ts'
import { parseNumeric } from './parse-numeric.ts'
import { described, patternInvalid } from './pattern-invalid.ts'
import { wildcardPieces } from './wildcard.ts'

/** The tests of a field's list of values: an event passes with any of them. */
export function parseValues(values: readonly unknown[], path: string): readonly Test[] {
  if (values.length === 0) {
    throw patternInvalid('A field needs at least one value; its list is empty.', path)
  }
  return values.map((value, index) => parseValue(value, `${path}[${index}]`))
}

function parseValue(value: unknown, path: string): Test {
  if (typeof value === 'string') return parseText(value)
  if (value instanceof LongNumber) return { kind: 'number-text', text: value.text }
  if (value === null || typeof value === 'boolean' || typeof value === 'number') {
    return { kind: 'equals', value }
  }
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw patternInvalid(
      `A value is a text, a number, true, false, null or a match expression, not ${described(value)}.`,
      path,
    )
  }
  const [operator, operand] = onlyEntry(value, path, 'A match expression')
  const parse = Object.hasOwn(operators, operator) ? operators[operator] : undefined
  if (parse === undefined) {
    throw patternInvalid(
      `'${operator}' is no match expression.`,
      path,
      `Use one of ${Object.keys(operators).join(', ')}.`,
    )
  }
  return parse(operand, `${path}.${operator}`)
}

/** A text that is an IP address stands for the address, however the event writes it. */
function parseText(value: string): Test {
  const start = readAddress(value)
  return start === undefined ? { kind: 'equals', value } : { kind: 'address', start, freeBits: 0 }
}

function onlyEntry(value: object, path: string, what: string): readonly [string, unknown] {
  const [entry, ...more] = Object.entries(value)
  if (entry === undefined || more.length > 0) {
    throw patternInvalid(`${what} has exactly one name, not ${more.length + (entry ? 1 : 0)}.`, path)
  }
  return entry
}

function needText(value: unknown, path: string): string {
  if (typeof value !== 'string') throw patternInvalid(`Needs a text, not ${described(value)}.`, path)
  return value
}

const operators: Readonly<Record<string, (operand: unknown, path: string) => Test>> = {
  prefix: (operand, path) => affix('prefix', 'start', operand, path),
  suffix: (operand, path) => affix('suffix', 'end', operand, path),
  'equals-ignore-case': (operand, path) => loose('whole', needText(operand, path)),
  wildcard: (operand, path) => wildcard(needText(operand, path), path),
  'anything-but': anythingBut,
  numeric: parseNumeric,
  exists(operand, path) {
    if (typeof operand !== 'boolean') {
      throw patternInvalid(`Needs true or false, not ${described(operand)}.`, path)
    }
    return { kind: operand ? 'exists' : 'absent' }
  },
  cidr(operand, path) {
    const block = blockOf(needText(operand, path))
    if (block !== undefined) return { kind: 'address', ...block }
    throw patternInvalid(
      `${described(operand)} is no block of IP addresses.`,
      path,
      "Write an address, a slash and the fixed bits, such as '10.0.0.0/24' (at most 31, or 127 for IPv6); give one address as it is.",
    )
  },
  exactly: (operand, path) => ({ kind: 'equals', value: needText(operand, path) }),
}

const loose = (place: 'whole' | 'start' | 'end', text: string): Test => ({
  kind: 'loose',
  place,
  loose: looseText(text),
})

function affix(kind: 'prefix' | 'suffix', place: 'start' | 'end', operand: unknown, path: string): Test {
  if (typeof operand !== 'object' || operand === null || Array.isArray(operand)) {
    return { kind, text: needText(operand, path) }
  }
  const [name, text] = onlyEntry(operand, path, `'${kind}'`)
  if (name !== 'equals-ignore-case') {
    throw patternInvalid(`'${name}' does not go with ${kind}; only equals-ignore-case does.`, path)
  }
  return loose(place, needText(text, `${path}.${name}`))
}

function wildcard(text: string, path: string): Test {
  const pieces = wildcardPieces(text)
  if ('fault' in pieces) throw patternInvalid(`The wildcard ${described(text)} ${pieces.fault}.`, path)
  return { kind: 'wildcard', pieces }
}

function anythingBut(operand: unknown, path: string): Test {
  if (typeof operand === 'object' && operand !== null && !Array.isArray(operand)) {
    if (!(operand instanceof LongNumber)) return noMatch(operand, path)
  }
  const values = new Set(listOf(operand, path).map(([value, at]) => plainValue(value, at)))
  if (new Set([...values].map((value) => typeof value)).size > 1) {
    throw patternInvalid('All values must be texts, or all numbers.', path)
  }
  return { kind: 'none-of', values }
}

function plainValue(value: unknown, path: string): string | number {
  if (typeof value === 'string' || typeof value === 'number') return value
  const what = value instanceof LongNumber ? `${value.text}, which no double is equal to` : described(value)
  throw patternInvalid(`Needs texts or numbers, not ${what}.`, path)
}

function noMatch(operand: object, path: string): Test {
  const [name, values] = onlyEntry(operand, path, "'anything-but'")
  const parse = Object.hasOwn(excluding, name) ? excluding[name] : undefined
  if (parse === undefined) {
    throw patternInvalid(`'${name}' does not go with anything-but.`, path)
  }
  const inner = `${path}.${name}`
  return {
    kind: 'no-match',
    tests: listOf(values, inner).map(([value, at]) => parse(needText(value, at), at)),
  }
}

const excluding: Readonly<Record<string, (text: string, path: string) => Test>> = {
  prefix: (text, path) => ({ kind: 'prefix', text: notEmpty(text, path) }),
  suffix: (text, path) => ({ kind: 'suffix', text: notEmpty(text, path) }),
  'equals-ignore-case': (text) => loose('whole', text),
  wildcard,
}

function notEmpty(text: string, path: string): string {
  if (text === '') throw patternInvalid('An empty text would exclude every text.', path)
  return text
}

/** The values of a list, or the one value that stands for a list, each with its path. */
function listOf(operand: unknown, path: string): readonly (readonly [unknown, string])[] {
  if (!Array.isArray(operand)) return [[operand, path]]
  if (operand.length === 0) throw patternInvalid('Needs at least one value; the list is empty.', path)
  return operand.map((value: unknown, index) => [value, `${path}[${index}]`])
}

/** The tests of a routing key with wildcards; a key without any is an ordinary text. */
export function parseRoutingKey(key: string, path: string): readonly Test[] {
  const fault = typePatternFault(key)
  if (fault !== undefined) {
    throw patternInvalid(
      `The routing key '${key}' ${fault}.`,
      path,
      "Write words with dots between them, '*' for one word, '>' at the end for one or more.",
    )
  }
  const words = key.split('.')
  const open = words.some((word) => word === '*' || word === '>')
  return [open ? { kind: 'routing-key', words } : { kind: 'equals', value: key }]
}
