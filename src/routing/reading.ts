import type { Place } from './array-elements.ts'
import type { Leaf } from './field-test.ts'
import type { Field } from './path-tree.ts'

/** What is read from one event after the other: which fields it has, and their values. */
export class Reading {
  /** The number of the event being read; from 1. */
  event = 0
  /** The fields that the event has, in the order in which they were met: the first `count` of them. */
  readonly fields: Field[] = []
  count = 0
  /** Numbers the arrays of the event. */
  arrays = 0

  /** Forgets the last event. */
  begin(): void {
    this.event += 1
    this.count = 0
    this.arrays = 0
  }

  add(field: Field, value: Leaf, place: Place): void {
    if (field.event !== this.event) {
      field.event = this.event
      field.count = 0
      field.inArrays = false
      this.fields[this.count] = field
      this.count += 1
    }
    field.values[field.count] = value
    if (place.length > 0) field.inArrays = true
    field.places[field.count] = place
    field.count += 1
  }
}

/** The place of a value that is in no element of an array. */
export const nowhere: Place = []
