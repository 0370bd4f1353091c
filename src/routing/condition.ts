import { type Found, fitTogether, type Place } from './array-elements.ts'
import { type Leaf, passes, type Test } from './field-test.ts'
import type { Field } from './path-tree.ts'

/** What the patterns of a matcher ask of one field; shared by all that ask the same of it. */
export class Condition {
  readonly field: Field
  readonly key: string
  readonly tests: readonly Test[]
  /** Whether the field also fits where it has no value. */
  readonly orAbsent: boolean
  /** How many alternatives have it. */
  uses = 0
  #event = 0
  #holds = false
  #placesOf = 0
  #passing: Place[] = []

  constructor(field: Field, key: string, tests: readonly Test[]) {
    this.field = field
    this.key = key
    this.tests = tests
    this.orAbsent = tests.some((test) => test.kind === 'absent')
  }

  /** Whether the field fits, arrays aside: found out once for each event. */
  holds(event: number): boolean {
    if (this.#event !== event) {
      this.#event = event
      this.#holds = this.field.event === event ? this.#anyPasses() : this.orAbsent
    }
    return this.#holds
  }

  /** The places of the values that pass: found out once for each event. */
  passing(event: number): readonly Place[] {
    if (this.#placesOf === event) return this.#passing
    this.#placesOf = event
    this.#passing = []
    const { values, places, count } = this.field
    for (let index = 0; this.field.event === event && index < count; index += 1) {
      if (this.passes(values[index] as Leaf)) this.#passing.push(places[index] as Place)
    }
    return this.#passing
  }

  passes(value: Leaf): boolean {
    for (const test of this.tests) if (passes(test, value)) return true
    return false
  }

  #anyPasses(): boolean {
    const { values, count } = this.field
    for (let index = 0; index < count; index += 1) {
      const value = values[index]
      if (value !== undefined && this.passes(value)) return true
    }
    return false
  }
}

/** Whether all conditions hold for an event, each array that they reach into within one element of it. */
export function allHold(conditions: readonly Condition[], event: number): boolean {
  let inArrays = false
  for (const condition of conditions) {
    if (condition.field.event === event && condition.field.inArrays) inArrays = true
    else if (!condition.holds(event)) return false
  }
  if (!inArrays) return true
  // Where a field may be absent, another element may be chosen, so its values alone do not decide.
  for (const condition of conditions) if (!condition.orAbsent && !condition.holds(event)) return false
  if (conditions.length === 1) return conditions[0]?.holds(event) ?? false
  const inOne = inOneArray(conditions, event)
  return inOne ?? fitTogether(conditions.map((condition, rank) => found(condition, rank, event)))
}

/** The usual case, decided fast: all values that pass are in elements of one array. Undefined where they are not. */
function inOneArray(conditions: readonly Condition[], event: number): boolean | undefined {
  let array: number | undefined
  let elements: readonly (number | undefined)[] | undefined
  for (const condition of conditions) {
    if (condition.orAbsent) return undefined
    const passing = condition.passing(event)
    if (passing.some((place) => place.length === 0)) {
      // A value outside of arrays goes together with all others.
      if (!condition.field.inArrays || passing.every((place) => place.length === 0)) continue
      return undefined
    }
    array ??= passing[0]?.[0]
    if (passing.some((place) => place.length !== 2 || place[0] !== array)) return undefined
    const own = passing.map((place) => place[1])
    elements = elements === undefined ? own : inBoth(own, elements)
    if (elements.length === 0) return false
  }
  return true
}

function inBoth<T>(some: readonly T[], others: readonly T[]): readonly T[] {
  const known = others.length > 16 ? new Set(others) : undefined
  return some.filter((one) => known?.has(one) ?? others.includes(one))
}

function found(condition: Condition, rank: number, event: number): Found {
  const { field, orAbsent } = condition
  const present = field.event === event ? field.places.slice(0, field.count) : []
  return { rank, orAbsent, passing: condition.passing(event), present }
}
