/**
 * Event patterns matched in the plainest way: every value of the event beside every value of the pattern, every combination of
 * array elements. What the compiled matcher must agree with. Numbers are doubles here, and patterns are taken to be valid.
 */

type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json }
type Fields = { readonly [name: string]: Json }

/** A value of an event, and in which element of which array it is. */
interface Leaf {
  readonly path: string
  readonly value: Json
  readonly elements: ReadonlyMap<number, number>
}

export function referenceMatches(pattern: Fields, event: Fields): boolean {
  const leaves = leavesOf(event)
  return alternatives(pattern, '').some((fields) => {
    const sorted = [...fields].sort(([a], [b]) => (a < b ? -1 : 1))
    return fits(sorted, leaves, new Map())
  })
}

function fits(
  fields: readonly (readonly [string, readonly Json[]])[],
  leaves: readonly Leaf[],
  chosen: ReadonlyMap<number, number>,
): boolean {
  const [field, ...others] = fields
  if (field === undefined) return true
  const [path, accepted] = field
  const values = leaves.filter((leaf) => leaf.path === path && isConsistent(leaf.elements, chosen))
  if (values.length === 0) return accepted.some(isAbsent) && fits(others, leaves, chosen)
  return values.some(
    ({ value, elements }) =>
      accepted.some((test) => !isAbsent(test) && accepts(test, value)) &&
      fits(others, leaves, new Map([...chosen, ...elements])),
  )
}

function isConsistent(elements: ReadonlyMap<number, number>, chosen: ReadonlyMap<number, number>): boolean {
  return [...elements].every(([array, element]) => !chosen.has(array) || chosen.get(array) === element)
}

const isAbsent = (test: Json) => isFields(test) && test.exists === false

/** All ways to fit a pattern: for each, the fields by path and what they accept. */
function alternatives(pattern: Fields, prefix: string): ReadonlyMap<string, readonly Json[]>[] {
  let result: ReadonlyMap<string, readonly Json[]>[] = [new Map()]
  for (const [name, value] of Object.entries(pattern)) {
    const path = prefix === '' ? name : `${prefix}.${name}`
    const more =
      name === '$or' && isOr(value)
        ? value.flatMap((choice) => alternatives(choice, prefix))
        : isFields(value)
          ? alternatives(value, path)
          : [new Map([[path, value as readonly Json[]]])]
    // The branches of later choices come after those of earlier ones; a path that is named twice has its last list.
    result = more.flatMap((inner) => result.map((outer) => new Map([...outer, ...inner])))
  }
  return result
}

function isFields(value: Json | undefined): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isOr(value: Json): value is readonly Fields[] {
  return Array.isArray(value) && value.length > 1 && value.every(isFields)
}

function leavesOf(event: Fields): Leaf[] {
  const leaves: Leaf[] = []
  let arrays = 0
  const visit = (value: Json, path: string, elements: ReadonlyMap<number, number>): void => {
    if (Array.isArray(value)) {
      const array = arrays++
      for (const [index, element] of value.entries()) {
        const isNested = typeof element === 'object' && element !== null
        visit(element, path, isNested ? new Map([...elements, [array, index]]) : elements)
      }
    } else if (isFields(value)) {
      for (const [name, member] of Object.entries(value)) {
        visit(member, path === '' ? name : `${path}.${name}`, elements)
      }
    } else leaves.push({ path, value, elements })
  }
  visit(event, '', new Map())
  return leaves
}

function accepts(test: Json, value: Json): boolean {
  if (!isFields(test)) return value === test
  const [[operator, operand = null] = ['']] = Object.entries(test)
  const text = typeof value === 'string' ? value : undefined
  switch (operator) {
    case 'exists':
      return operand === true
    case 'anything-but':
      return acceptsOther(operand, value)
    case 'numeric':
      return typeof value === 'number' && inBounds(operand as readonly Json[], value)
    case 'cidr':
      return text !== undefined && inBlock(operand as string, text)
    case 'prefix':
    case 'suffix': {
      if (text === undefined) return false
      const loose = isFields(operand)
      const affix = loose ? (operand['equals-ignore-case'] as string) : (operand as string)
      const cut =
        operator === 'prefix' ? text.slice(0, affix.length) : text.slice(-affix.length || text.length)
      return loose ? sameLetters(cut, affix) : cut === affix
    }
    case 'equals-ignore-case':
      return text !== undefined && sameLetters(text, operand as string)
    case 'wildcard':
      return text !== undefined && wildcardExpression(operand as string).test(text)
    default:
      throw new Error(`The reference does not know ${operator}.`)
  }
}

function acceptsOther(operand: Json, value: Json): boolean {
  const listed = (values: Json) => (Array.isArray(values) ? (values as readonly Json[]) : [values])
  if (!isFields(operand)) return !listed(operand).includes(value)
  const [[operator, values = null] = ['']] = Object.entries(operand)
  return !listed(values).some((excluded) => accepts({ [operator]: excluded }, value))
}

function inBounds(terms: readonly Json[], value: number): boolean {
  const [operator, bound, ...others] = terms as readonly [string, number, ...Json[]]
  const compared = {
    '=': value === bound,
    '<': value < bound,
    '<=': value <= bound,
    '>': value > bound,
    '>=': value >= bound,
  }
  return (
    (compared[operator as keyof typeof compared] ?? false) && (others.length === 0 || inBounds(others, value))
  )
}

/** Only for the letters of ASCII; others have tests of their own. */
const sameLetters = (a: string, b: string) => a.toLowerCase() === b.toLowerCase()

function wildcardExpression(wildcard: string): RegExp {
  const parts = wildcard.match(/\\.|[^\\]/gs) ?? []
  const source = parts.map((part) =>
    part === '*' ? '.*' : part.replace(/^\\/, '').replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'),
  )
  return new RegExp(`^${source.join('')}$`, 's')
}

/** Only for IPv4, written in full; the rest has tests of its own. */
function inBlock(block: string, address: string): boolean {
  const [base = '', mask] = block.split('/')
  const number = (text: string) =>
    /^\d+(\.\d+){3}$/.test(text)
      ? text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
      : undefined
  const [first, given] = [number(base), number(address)]
  if (first === undefined || given === undefined) return false
  const size = 2 ** (32 - Number(mask))
  return Math.floor(first / size) === Math.floor(given / size)
}
