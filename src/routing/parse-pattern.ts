import { messageOf } from '../core/errors.ts'
import { checkWildcards } from './check-wildcards.ts'
import type { Test } from './field-test.ts'
import { exactNumber, LongNumber } from './long-number.ts'
import { parseRoutingKey, parseValues } from './parse-values.ts'
import { ParsedPattern } from './parsed-pattern.ts'
import { described, patternInvalid } from './pattern-invalid.ts'

const maxCombinations = 1_000
const maxLevels = 64

/** The alternatives of a pattern while it is read: for each path its tests. */
type Branch = ReadonlyMap<string, readonly Test[]>

/** Reads an event pattern: JSON text, or what `JSON.parse` makes of it. Throws `PATTERN_INVALID` with the path of what is wrong. */
export function parsePattern(pattern: unknown): ParsedPattern {
  return parsed(parseFields([new Map()], topObject(pattern)))
}

/** Reads a pattern whose `type` and `subject` may also be routing keys with wildcards, as a text without a list. */
export function parseFilter(filter: unknown): ParsedPattern {
  const { ...fields } = topObject(filter)
  let branches: readonly Branch[] = [new Map()]
  for (const name of ['type', 'subject']) {
    const key = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (typeof key !== 'string') continue
    delete fields[name]
    branches = withField(branches, name, parseRoutingKey(key, name))
  }
  const more = Object.keys(fields).length > 0 || branches[0]?.size === 0
  return parsed(more ? parseFields(branches, fields) : branches)
}

function topObject(pattern: unknown): Record<string, unknown> {
  const value = typeof pattern === 'string' ? parseJson(pattern) : pattern
  if (isObject(value)) return value
  throw patternInvalid(`An event pattern is an object, not ${described(value)}.`, '')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text, function (this: unknown, _name, value, context?: { readonly source?: string }) {
      return typeof value === 'number' ? (exactNumber(context?.source ?? '') ?? value) : value
    } as (this: unknown, key: string, value: unknown) => unknown)
  } catch (error) {
    throw patternInvalid(`An event pattern is JSON; this text is not: ${messageOf(error)}`, '')
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof LongNumber)
  )
}

/** Where a pattern first has `$or` as a choice, and as a field. */
interface OrUses {
  choice?: string
  field?: string
}

function parseFields(
  branches: readonly Branch[],
  fields: Readonly<Record<string, unknown>>,
): readonly Branch[] {
  const uses: OrUses = {}
  const result = parseObject(branches, fields, [], '', uses)
  if (uses.choice !== undefined && uses.field !== undefined) {
    throw patternInvalid(
      `'$or' names a field here, and a choice at '${uses.choice}'; a pattern has it as one of them.`,
      uses.field,
      'Give each $or a list of two objects or more.',
    )
  }
  return result
}

function parseObject(
  branches: readonly Branch[],
  object: Readonly<Record<string, unknown>>,
  names: readonly string[],
  path: string,
  uses: OrUses,
  withinOr = false,
): readonly Branch[] {
  const entries = Object.entries(object)
  if (entries.length === 0)
    throw patternInvalid('An object needs at least one field; this one is empty.', path)
  let result = branches
  for (const [name, value] of entries) {
    const at = path === '' ? name : `${path}.${name}`
    if (name === '$or') {
      if (isOr(value)) {
        uses.choice ??= at
        result = parseOr(result, value, names, at, uses)
        continue
      }
      uses.field ??= at
    }
    if (withinOr && reserved.has(name)) {
      throw patternInvalid(`'${name}' cannot name a field within $or.`, at)
    }
    const inner = [...names, name]
    if (isObject(value)) result = parseObject(result, value, checkLevels(inner, at), at, uses, withinOr)
    else if (Array.isArray(value)) {
      result = withField(result, checkLevels(inner, at).join('.'), parseValues(value, at))
    } else {
      throw patternInvalid(
        `A field has a list of values or an object of fields, not ${described(value)}.`,
        at,
        `Put the value into a list: [${JSON.stringify(value) ?? '…'}].`,
      )
    }
  }
  return result
}

function checkLevels(names: readonly string[], path: string): readonly string[] {
  if (names.join('.').split('.').length <= maxLevels) return names
  throw patternInvalid(`A pattern has at most ${maxLevels} levels of fields.`, path)
}

function withField(branches: readonly Branch[], path: string, tests: readonly Test[]): readonly Branch[] {
  return branches.map((branch) => new Map(branch).set(path, tests))
}

/** `$or` is a choice when it is a list of two objects or more, none with the name of a match expression; else a field. */
function isOr(value: unknown): value is readonly Record<string, unknown>[] {
  return (
    Array.isArray(value) &&
    value.length > 1 &&
    value.every((choice) => isObject(choice) && !Object.keys(choice).some((name) => reserved.has(name)))
  )
}

function parseOr(
  branches: readonly Branch[],
  choices: readonly Readonly<Record<string, unknown>>[],
  names: readonly string[],
  path: string,
  uses: OrUses,
): readonly Branch[] {
  const result: Branch[] = []
  for (const [index, choice] of choices.entries()) {
    result.push(...parseObject(branches, choice, names, `${path}[${index}]`, uses, true))
    if (result.length > maxCombinations) {
      throw patternInvalid(`The choices of a pattern make more than ${maxCombinations} combinations.`, path)
    }
  }
  return result
}

function parsed(branches: readonly Branch[]): ParsedPattern {
  const alternatives = branches.map((branch) =>
    [...branch]
      .map(([path, tests]) => ({ path, tests }))
      .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)),
  )
  checkWildcards(alternatives)
  return new ParsedPattern(alternatives)
}

/** Names that EventBridge keeps for match expressions, so that they cannot name fields within `$or`. */
const reserved = new Set([
  ...['exactly', 'equals-ignore-case', 'prefix', 'suffix', 'anything-but', 'exists', 'wildcard'],
  ...['numeric', 'cidr', '=', '<', '<=', '>', '>=', 'regex', 'not-wildcard', 'not-equals-ignore-case'],
  ...['date-after', 'date-on-or-after', 'date-before', 'date-on-or-before', 'in-date-range'],
  ...['ip-address-in-range', 'ip-address-not-in-range'],
])
