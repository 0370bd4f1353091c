import { type Found, fitTogether, type Place } from './array-elements.ts'
import { type Leaf, passes, type Test } from './field-test.ts'
import { type Field, outside, several } from './path-tree.ts'

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

  /** Whether a value of an element passes, of the one array that all values are in. */
  passesIn(element: number, event: number): boolean {
    const passing = this.passing(event)
    let [from, to] = [0, passing.length]
    // Elements are read in their order.
    while (from < to) {
      const middle = (from + to) >> 1
      if ((passing[middle]?.[1] as number) < element) from = middle + 1
      else to = middle
    }
    return passing[from]?.[1] === element
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
    const here = reachesIn(condition, event)
    if (here) inArrays = true
    // Where a field may be absent, another element may be chosen, so its values alone do not decide.
    if (!(here && condition.orAbsent) && !condition.holds(event)) return false
  }
  if (!inArrays) return true
  if (conditions.length === 1) return conditions[0]?.holds(event) ?? false
  const inOne = inOneArray(conditions, event)
  return inOne ?? fitTogether(conditions.map((condition, rank) => found(condition, rank, event)))
}

/** The usual case, decided fast: all values in arrays are in elements of the same one. Undefined where they are not. */
function inOneArray(conditions: readonly Condition[], event: number): boolean | undefined {
  let fewest: Condition | undefined
  for (const condition of conditions) {
    if (!reachesIn(condition, event)) continue
    const { field, orAbsent } = condition
    if (orAbsent || field.array === several) return undefined
    if (fewest === undefined) fewest = condition
    else if (fewest.field.array !== field.array) return undefined
    else if (condition.passing(event).length < fewest.passing(event).length) fewest = condition
  }
  if (fewest === undefined) return true
  for (const [, element = 0] of fewest.passing(event)) {
    if (conditions.every((condition) => !reachesIn(condition, event) || condition.passesIn(element, event)))
      return true
  }
  return false
}

/** Whether the event has values of the field that are in arrays. */
function reachesIn({ field }: Condition, event: number): boolean {
  return field.event === event && field.array !== outside
}

function found(condition: Condition, rank: number, event: number): Found {
  const { field, orAbsent } = condition
  const present = field.event === event ? field.places.slice(0, field.count) : []
  return { rank, orAbsent, passing: condition.passing(event), present }
}
