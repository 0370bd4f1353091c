import type { Test } from './field-test.ts'

/** What an event must have in one field, named by its path with dots between the names. */
export interface FieldTests {
  readonly path: string
  /** A value of the field must pass one of them. */
  readonly tests: readonly Test[]
}

/** Fields that must all fit, sorted by path: the order in which array elements are settled, see `array-elements.ts`. */
export type Alternative = readonly FieldTests[]

/** A pattern that has been checked: an event matches when it fits any of the alternatives. */
export class ParsedPattern {
  readonly alternatives: readonly Alternative[]

  constructor(alternatives: readonly Alternative[]) {
    this.alternatives = alternatives
  }
}
