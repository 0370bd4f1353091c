import { compileFilter } from './compile-pattern.ts'

/** One condition of a pattern, held against an event. */
export interface ExplainedCondition {
  /** The path of the field, such as `data.amount`; `$or` at its end where several alternatives stand together. */
  readonly path: string
  /** What the pattern asks there, as it was given. */
  readonly wanted: unknown
  /** What the event has there; undefined where it has nothing. */
  readonly found: unknown
  readonly holds: boolean
}

/** A pattern held against an event, condition by condition. */
export interface ExplainedPattern {
  readonly matches: boolean
  readonly conditions: readonly ExplainedCondition[]
  /** Every condition holds, and yet the pattern does not match: no single element of an array has all that is asked of it. */
  readonly apart: boolean
}

/**
 * Says which conditions of a filter hold for an event, and which do not. The filter is what `compileFilter` takes, as an object. Throws
 * `PATTERN_INVALID` for one that cannot be.
 */
export function explainFilter(filter: Readonly<Record<string, unknown>>, event: object): ExplainedPattern {
  const matches = compileFilter(filter).matches(event)
  const conditions = leavesOf(filter, []).map(({ names, wanted }) => ({
    path: names.join('.'),
    wanted,
    found: names.at(-1) === '$or' ? undefined : valueAt(event, names),
    holds: compileFilter(nested(names, wanted)).matches(event),
  }))
  return { matches, conditions, apart: !matches && conditions.every(({ holds }) => holds) }
}

interface Leaf {
  readonly names: readonly string[]
  readonly wanted: unknown
}

function leavesOf(pattern: Readonly<Record<string, unknown>>, names: readonly string[]): readonly Leaf[] {
  return Object.entries(pattern).flatMap(([name, wanted]): readonly Leaf[] => {
    const path = [...names, name]
    const isLeaf = typeof wanted !== 'object' || wanted === null || Array.isArray(wanted)
    return isLeaf ? [{ names: path, wanted }] : leavesOf(wanted as Record<string, unknown>, path)
  })
}

function nested(names: readonly string[], wanted: unknown): Record<string, unknown> {
  return names.reduceRight<unknown>((inner, name) => ({ [name]: inner }), wanted) as Record<string, unknown>
}

/** The value at a path; what the elements of arrays have there, where there are arrays on the way. */
function valueAt(value: unknown, names: readonly string[]): unknown {
  const [name, ...rest] = names
  if (name === undefined) return value
  if (Array.isArray(value)) {
    const found = value.map((element) => valueAt(element, names)).filter((each) => each !== undefined)
    return found.length === 0 ? undefined : found
  }
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
  return valueAt((value as Record<string, unknown>)[name], rest)
}
