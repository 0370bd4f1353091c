import type { Place } from './array-elements.ts'
import type { Leaf } from './field-test.ts'
import { type Field, outside, several } from './path-tree.ts'

const [keptArrays, keptElements] = [16, 64]

/** What is read from one event after the other: which fields it has, and their values. */
export class Reading {
  /** The number of the event being read; from 1. */
  event = 0
  /** The fields that the event has, in the order in which they were met: the first `count` of them. */
  readonly fields: Field[] = []
  count = 0
  /** Numbers the arrays of the event. */
  arrays = 0
  /** The places of elements of outermost arrays: the same in every event, so they are made once. */
  readonly #elements: Place[] = []

  /** Forgets the last event. */
  begin(): void {
    this.event += 1
    this.count = 0
    this.arrays = 0
  }

  add(field: Field, value: Leaf, place: Place): void {
    const array = place.length === 0 ? outside : place.length === 2 ? (place[0] as number) : several
    if (field.event !== this.event) {
      field.event = this.event
      field.count = 0
      field.array = array
      this.fields[this.count] = field
      this.count += 1
    } else if (field.array !== array) field.array = several
    field.values[field.count] = value
    field.places[field.count] = place
    field.count += 1
  }

  /** The place of an element of an array which itself is at a place. */
  placeWithin(place: Place, array: number, element: number): Place {
    if (place.length > 0 || array >= keptArrays || element >= keptElements) return [...place, array, element]
    const at = array * keptElements + element
    const known = this.#elements[at] ?? [array, element]
    this.#elements[at] = known
    return known
  }
}

/** The place of a value that is in no element of an array. */
export const nowhere: Place = []
