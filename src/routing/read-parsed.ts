import { MillraceError } from '../core/errors.ts'
import type { Place } from './array-elements.ts'
import { LongNumber } from './long-number.ts'
import type { PathNode } from './path-tree.ts'
import { nowhere, type Reading } from './reading.ts'

/** With up to so many names to look for, asking an object for each is faster than going through all that it has. */
const fewNames = 8
const maxArrays = 512

/** Reads the fields that patterns ask for from what `JSON.parse` makes of an event. */
export function readParsed(event: object, root: PathNode, reading: Reading): void {
  readObject(root, event as Readonly<Record<string, unknown>>, nowhere, reading)
}

function readObject(
  node: PathNode,
  object: Readonly<Record<string, unknown>>,
  place: Place,
  reading: Reading,
): void {
  const { edges } = node
  if (edges.length <= fewNames) {
    for (let index = 0; index < edges.length; index += 1) {
      const edge = edges[index]
      if (edge === undefined || (edge.inherited && !Object.hasOwn(object, edge.name))) continue
      const value = object[edge.name]
      if (value !== undefined) readValue(edge.node, value, place, reading)
    }
    return
  }
  for (const name in object) {
    const edge = node.byName.get(name)
    if (edge !== undefined) readValue(edge.node, object[name], place, reading)
  }
}

function readValue(node: PathNode, value: unknown, place: Place, reading: Reading): void {
  if (typeof value === 'object' && value !== null) {
    if (Array.isArray(value)) readArray(node, value, place, reading)
    else if (value instanceof LongNumber) {
      if (node.field !== undefined) reading.add(node.field, value, place)
    } else if (node.edges.length > 0 && !ArrayBuffer.isView(value)) {
      readObject(node, value as Readonly<Record<string, unknown>>, place, reading)
    }
    return
  }
  if (node.field === undefined) return
  if (
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean' ||
    value === null
  ) {
    reading.add(node.field, value, place)
  }
}

function readArray(node: PathNode, array: readonly unknown[], place: Place, reading: Reading): void {
  checkNesting(place)
  const id = reading.arrays
  reading.arrays += 1
  for (let index = 0; index < array.length; index += 1) {
    const element = array[index]
    const isOwn = typeof element === 'object' && element !== null
    readValue(node, element, isOwn ? reading.placeWithin(place, id, index) : place, reading)
  }
}

/** Throws `EVENT_INVALID` for a value that is within more arrays than an event can have in one another. */
export function checkNesting(place: Place): void {
  if (place.length < maxArrays * 2) return
  throw new MillraceError('EVENT_INVALID', `Arrays are nested deeper than ${maxArrays} levels.`, {
    fix: 'Send data that is nested less deep.',
  })
}
