import { MillraceError } from '../../core/errors.ts'
import { type Rule, type RulePolicy, ruleBounds } from './rule.ts'

/** One change to the rules of an application: the data of a record, so every change can be read again. */
export type RuleChange = {
  /** Who made it, where they said so. */
  readonly by?: string
  /** Why, where they said so. */
  readonly reason?: string
} & (
  | { readonly change: 'put'; readonly rules: readonly Rule[] }
  | { readonly change: 'remove'; readonly name: string }
  | { readonly change: 'enable' | 'disable'; readonly name: string }
  | { readonly change: 'policy'; readonly policy: RulePolicy }
)

/** The rules as they are between two changes. Never changed: a change gives another book. */
export interface RuleBook {
  readonly policy: RulePolicy
  readonly rules: ReadonlyMap<string, Rule>
}

/** The book of an application that never had a rule. */
export const emptyRuleBook: RuleBook = Object.freeze({ policy: 'all', rules: new Map() })

interface Version<Value> {
  /** The change that made it. */
  readonly index: number
  readonly value: Value
}

/**
 * The rules after every change there was. Kept as what the changes made of each rule, so that a book is made in one pass over
 * the names, whichever change it is of and however many there were.
 */
export class RuleVersions {
  /** By name; undefined stands for a rule that was removed. */
  readonly #rules = new Map<string, Version<Rule | undefined>[]>()
  readonly #policies: Version<RulePolicy>[] = []
  #count = 0

  /**
   * Applies the next change. What it names may be gone by the time it is applied, because two may be made at once: then it
   * changes nothing.
   */
  add(change: RuleChange): void {
    const index = this.#count
    this.#count += 1
    if (change.change === 'policy') this.#policies.push({ index, value: change.policy })
    else if (change.change === 'put') for (const rule of change.rules) this.#set(index, rule.name, rule)
    else {
      const known = this.#rules.get(change.name)?.at(-1)?.value
      if (known === undefined) return
      const enabled = change.change === 'enable'
      this.#set(index, change.name, change.change === 'remove' ? undefined : { ...known, enabled })
    }
  }

  /** The book after the change of this index, counted from 0; the empty one for -1. */
  bookAt(index: number): RuleBook {
    if (index < 0) return emptyRuleBook
    const rules = new Map<string, Rule>()
    for (const [name, versions] of this.#rules) {
      const rule = versions.findLast((version) => version.index <= index)?.value
      if (rule !== undefined) rules.set(name, rule)
    }
    const policy = this.#policies.findLast((version) => version.index <= index)?.value
    return { policy: policy ?? emptyRuleBook.policy, rules }
  }

  #set(index: number, name: string, value: Rule | undefined): void {
    const versions = this.#rules.get(name)
    if (versions === undefined) this.#rules.set(name, [{ index, value }])
    else versions.push({ index, value })
  }
}

/** Refuses a change that names what is not there, or one rule too many: `RULE_UNKNOWN`, `RULE_INVALID`. */
export function checkRuleChange(book: RuleBook, change: RuleChange): void {
  if (change.change === 'policy') return
  if (change.change === 'put') {
    const size = new Set([...book.rules.keys(), ...change.rules.map(({ name }) => name)]).size
    if (size <= ruleBounds.rules) return
    throw new MillraceError(
      'RULE_INVALID',
      `With these there would be ${size} rules; the most is ${ruleBounds.rules}.`,
      {
        where: 'rules',
        fix: 'Remove rules that are not needed any more.',
      },
    )
  }
  if (book.rules.has(change.name)) return
  throw new MillraceError('RULE_UNKNOWN', `There is no rule '${change.name}'.`, {
    where: 'name',
    fix: 'List the rules with `millrace rules list`.',
  })
}

/** The rules of a book in the order in which they are tried: by priority, then by name. */
export function rulesInOrder(book: RuleBook): readonly Rule[] {
  return [...book.rules.values()].sort((one, other) => {
    return (other.priority ?? 0) - (one.priority ?? 0) || (one.name < other.name ? -1 : 1)
  })
}
