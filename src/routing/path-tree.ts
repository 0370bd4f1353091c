import type { Place } from './array-elements.ts'
import type { Leaf } from './field-test.ts'

/** In place of the number of an array. */
export const [outside, several] = [-1, -2] as const

/** A field that some pattern reads, with the values that the event being matched has for it. */
export class Field {
  readonly path: string
  /** Its number among the fields of a matcher. */
  readonly number: number
  /** The event that the values are of, by its number; those of another event count as none. */
  event = 0
  count = 0
  readonly values: Leaf[] = []
  /** Where each value is in the arrays of the event. */
  readonly places: Place[] = []
  /** The one array in elements of which all values are, directly; or `outside` of all, or in `several`. */
  array: number = outside

  constructor(path: string, number: number) {
    this.path = path
    this.number = number
  }
}

/** What leads from an object to one of its members that some pattern reads. */
export interface Edge {
  readonly name: string
  readonly node: PathNode
  /** The name as UTF-8, and its hash: by these a reader of text finds the edge without making a string of the name. */
  readonly utf8: Uint8Array
  readonly hash: number
  /** Whether every object has such a member by inheritance, so that having it means nothing. */
  readonly inherited: boolean
  /** The last object in which a reader of text met this name: the same one again means that it is there twice. */
  object: number
}

/** One step of the paths that patterns read. */
export class PathNode {
  field: Field | undefined = undefined
  readonly edges: Edge[] = []
  readonly byName = new Map<string, Edge>()
  readonly byHash = new Map<number, Edge[]>()

  /** Adds the edge unless it is there. */
  connect(name: string, node: PathNode): void {
    if (this.byName.has(name)) return
    const utf8 = Buffer.from(name)
    const hash = utf8.reduce(nextHash, 0)
    const edge: Edge = { name, node, utf8, hash, inherited: name in Object.prototype, object: 0 }
    this.edges.push(edge)
    this.byName.set(name, edge)
    const same = this.byHash.get(hash)
    if (same === undefined) this.byHash.set(hash, [edge])
    else same.push(edge)
  }
}

/** The hash of a name with one byte more. */
export function nextHash(hash: number, byte: number): number {
  return (Math.imul(hash, 31) + byte) & 0x3fffffff
}

/**
 * The tree of the paths of all fields. A name with dots stands for the path that it spells, in patterns as in events: so each
 * node has an edge not only for its children but for every path below it.
 */
export function pathTree(fields: Iterable<Field>): PathNode {
  const root = new PathNode()
  for (const field of fields) {
    const names = field.path.split('.')
    const nodes = [root]
    for (const [index, name] of names.entries()) {
      const from = nodes[index] ?? root
      const node = from.byName.get(name)?.node ?? new PathNode()
      from.connect(name, node)
      nodes.push(node)
    }
    for (let from = 0; from < names.length - 1; from += 1) {
      for (let to = from + 2; to <= names.length; to += 1) {
        nodes[from]?.connect(names.slice(from, to).join('.'), nodes[to] ?? root)
      }
    }
    const last = nodes[names.length]
    if (last !== undefined) last.field = field
  }
  return root
}
