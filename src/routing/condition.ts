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
  return fitTogether(conditions.map((condition, rank) => found(condition, rank, event)))
}

function found(condition: Condition, rank: number, event: number): Found {
  const { field, orAbsent } = condition
  const passing: Place[] = []
  const present: Place[] = []
  for (let index = 0; field.event === event && index < field.count; index += 1) {
    const [value, place] = [field.values[index], field.places[index]]
    if (value === undefined || place === undefined) continue
    present.push(place)
    if (condition.passes(value)) passing.push(place)
  }
  return { rank, orAbsent, passing, present }
}
