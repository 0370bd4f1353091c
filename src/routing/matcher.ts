import { allHold, Condition } from './condition.ts'
import { FieldIndex, proves } from './field-index.ts'
import type { Leaf, Test } from './field-test.ts'
import { parsePattern } from './parse-pattern.ts'
import { type Alternative, ParsedPattern } from './parsed-pattern.ts'
import { Field, outside, type PathNode, pathTree } from './path-tree.ts'
import { type EventInput, EventReader, eventObject } from './read-event.ts'

/** An event pattern: JSON text, what `JSON.parse` makes of it, or what `compilePattern` or `compileFilter` made of either. */
export type PatternInput = string | object

/** Options of {@link Matcher.add}. */
export interface AddOptions {
  /**
   * A further condition, asked only where the pattern matches: with the event as an object. What it throws, `match` throws.
   */
  readonly when?: (event: object) => boolean
}

/** What is handed out for a pattern that matches. */
interface Entry<V> {
  readonly value: V
  readonly order: number
  readonly rules: Rule<V>[]
  /** The last event that it was found for. */
  event: number
}

interface Rule<V> {
  readonly entry: Entry<V>
  readonly when: AddOptions['when']
  readonly branches: Branch<V>[]
}

/** One alternative of a pattern. */
interface Branch<V> {
  readonly rule: Rule<V>
  readonly entry: Entry<V>
  readonly conditions: readonly Condition[]
  /** The condition that it is found by; without one, every event finds it. */
  readonly entrance: Condition | undefined
  /** The conditions that being found leaves open. */
  readonly open: readonly Condition[]
  /** The last event that found it. */
  event: number
}

/**
 * Any number of patterns, matched at once. Each is kept under the condition that fewest others are kept under and that costs
 * least to look up: the values of an event find the patterns that can match, and only of those the other conditions are
 * asked, once for each event however many patterns share them.
 *
 * Patterns can be added and removed at any time. One matcher is used by one thread, and `when` must not use it.
 */
export class Matcher<V> {
  readonly #entries = new Map<V, Entry<V>>()
  readonly #fields = new Map<string, Field>()
  readonly #indexes: (FieldIndex<Branch<V>> | undefined)[] = []
  /** Numbers of fields that no pattern reads any more. */
  readonly #vacant: number[] = []
  readonly #uses = new Map<Field, number>()
  readonly #conditions = new Map<string, Condition>()
  readonly #always = new Set<Branch<V>>()
  readonly #reader = new EventReader()
  #tree: PathNode | undefined
  #found: Entry<V>[] = []
  /** The rules that match as far as their patterns go, and have a further condition. */
  #asking: Rule<V>[] = []
  #order = 0

  /** How many values there are. */
  get size(): number {
    return this.#entries.size
  }

  /**
   * Adds a pattern under a value: any value, such as a handler or a name. A value with several patterns matches with any of
   * them. Throws `PATTERN_INVALID` with the path of what is wrong, and then nothing has changed.
   */
  add(pattern: PatternInput, value: V, options: AddOptions = {}): this {
    const { alternatives } = parsedOf(pattern)
    let entry = this.#entries.get(value)
    if (entry === undefined) {
      entry = { value, order: this.#order, rules: [], event: 0 }
      this.#order += 1
      this.#entries.set(value, entry)
    }
    const rule: Rule<V> = { entry, when: options.when, branches: [] }
    for (const alternative of alternatives) rule.branches.push(this.#addBranch(rule, alternative))
    entry.rules.push(rule)
    return this
  }

  /** Removes a value with all its patterns; says whether it was there. */
  remove(value: V): boolean {
    const entry = this.#entries.get(value)
    if (entry === undefined) return false
    this.#entries.delete(value)
    for (const rule of entry.rules) for (const branch of rule.branches) this.#removeBranch(branch)
    return true
  }

  /**
   * The values of all patterns that match an event, each once, in the order in which they were first added. A text is read
   * only as far as patterns ask for: of the rest, only quotes and brackets are checked. Throws `JSON_INVALID` for a text that
   * is seen not to be JSON, and `EVENT_INVALID` for what is no JSON object.
   */
  match(event: EventInput): V[] {
    this.#find(event)
    const [found, asking] = [this.#found, this.#asking]
    if (asking.length > 0) this.#ask(asking, eventObject(event))
    let isSorted = true
    for (let index = 1; index < found.length; index += 1) {
      if ((found[index - 1] as Entry<V>).order > (found[index] as Entry<V>).order) isSorted = false
    }
    if (!isSorted) found.sort((a, b) => a.order - b.order)
    return found.map(valueIn)
  }

  /** Finds the entries of the patterns that match, and the rules that have a further condition. */
  #find(event: EventInput): void {
    this.#tree ??= pathTree(this.#fields.values())
    this.#found = []
    if (this.#asking.length > 0) this.#asking = []
    this.#reader.read(event, this.#tree)
    const { fields, count } = this.#reader.reading
    for (let index = 0; index < count; index += 1) {
      const field = fields[index] as Field
      const waiting = this.#indexes[field.number]
      if (waiting === undefined) continue
      for (let at = 0; at < field.count; at += 1) {
        waiting.visit(field.values[at] as Leaf, this.#visit, this.#visitUnproven)
      }
    }
    for (const branch of this.#always) this.#visit(branch)
  }

  readonly #visit = (branch: Branch<V>): void => {
    if (branch.event === this.#reader.reading.event) return
    const { open, entrance, conditions } = branch
    // What is within an array has to be met in one element, that of the entrance included.
    const apart = open.length === 0 || entrance === undefined || entrance.field.array === outside
    this.#settle(branch, apart ? open : conditions)
  }

  readonly #visitUnproven = (branch: Branch<V>): void => {
    if (branch.event !== this.#reader.reading.event) this.#settle(branch, branch.conditions)
  }

  #settle(branch: Branch<V>, conditions: readonly Condition[]): void {
    const { event } = this.#reader.reading
    branch.event = event
    if (conditions.length > 0 && !allHold(conditions, event)) return
    if (branch.rule.when === undefined) this.#take(branch.entry, event)
    else this.#asking.push(branch.rule)
  }

  #take(entry: Entry<V>, event: number): void {
    if (entry.event === event) return
    entry.event = event
    this.#found.push(entry)
  }

  #ask(rules: readonly Rule<V>[], object: object): void {
    const { event } = this.#reader.reading
    for (const { entry, when } of rules) {
      if (entry.event !== event && when?.(object) === true) this.#take(entry, event)
    }
  }

  #addBranch(rule: Rule<V>, alternative: Alternative): Branch<V> {
    const conditions = alternative.map(({ path, tests }) => this.#condition(path, tests))
    const entrance = this.#cheapest(conditions)
    const isProven = entrance?.tests.every(proves)
    const open = isProven ? conditions.filter((condition) => condition !== entrance) : conditions
    const branch = { rule, entry: rule.entry, conditions, entrance, open, event: 0 }
    if (entrance === undefined) this.#always.add(branch)
    else for (const test of entrance.tests) this.#indexes[entrance.field.number]?.add(test, branch)
    return branch
  }

  #removeBranch(branch: Branch<V>): void {
    const { entrance } = branch
    if (entrance === undefined) this.#always.delete(branch)
    else for (const test of entrance.tests) this.#indexes[entrance.field.number]?.remove(test, branch)
    for (const condition of branch.conditions) this.#release(condition)
  }

  #cheapest(conditions: readonly Condition[]): Condition | undefined {
    let best: Condition | undefined
    let least = Number.POSITIVE_INFINITY
    for (const condition of conditions) {
      const index = this.#indexes[condition.field.number]
      if (condition.orAbsent || index === undefined) continue
      const cost = condition.tests.reduce((sum, test) => sum + index.cost(test), 0)
      if (cost < least) {
        best = condition
        least = cost
      }
    }
    return best
  }

  #condition(path: string, tests: readonly Test[]): Condition {
    const key = `${path}\0${JSON.stringify(tests, setsAsLists)}`
    let condition = this.#conditions.get(key)
    if (condition === undefined) {
      const field = this.#field(path)
      condition = new Condition(field, key, tests)
      this.#conditions.set(key, condition)
      this.#uses.set(field, (this.#uses.get(field) ?? 0) + 1)
    }
    condition.uses += 1
    return condition
  }

  #release(condition: Condition): void {
    condition.uses -= 1
    if (condition.uses > 0) return
    this.#conditions.delete(condition.key)
    const { field } = condition
    const uses = (this.#uses.get(field) ?? 0) - 1
    this.#uses.set(field, uses)
    if (uses > 0) return
    this.#uses.delete(field)
    this.#fields.delete(field.path)
    this.#indexes[field.number] = undefined
    this.#vacant.push(field.number)
    this.#tree = undefined
  }

  #field(path: string): Field {
    const known = this.#fields.get(path)
    if (known !== undefined) return known
    const field = new Field(path, this.#vacant.pop() ?? this.#indexes.length)
    this.#indexes[field.number] = new FieldIndex()
    this.#fields.set(path, field)
    this.#tree = undefined
    return field
  }
}

const valueIn = <V>({ value }: Entry<V>): V => value

/** The parsed form of a pattern, whichever form it has. */
export function parsedOf(pattern: PatternInput): ParsedPattern {
  if (
    typeof pattern === 'object' &&
    pattern !== null &&
    'parsed' in pattern &&
    pattern.parsed instanceof ParsedPattern
  ) {
    return pattern.parsed
  }
  return parsePattern(pattern)
}

function setsAsLists(_name: string, value: unknown): unknown {
  if (value instanceof Set) return [...value]
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY ? String(value) : value
}
