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

/**
 * The book after these changes. What a change names may be gone by the time it is applied, because two may be made at once: then
 * it changes nothing.
 */
export function applyRuleChanges(book: RuleBook, changes: Iterable<RuleChange>): RuleBook {
  const rules = new Map(book.rules)
  let { policy } = book
  for (const change of changes) {
    if (change.change === 'policy') policy = change.policy
    else if (change.change === 'put') for (const rule of change.rules) rules.set(rule.name, rule)
    else if (change.change === 'remove') rules.delete(change.name)
    else switchRule(rules, change.name, change.change === 'enable')
  }
  return { policy, rules }
}

function switchRule(rules: Map<string, Rule>, name: string, enabled: boolean): void {
  const known = rules.get(name)
  if (known !== undefined) rules.set(name, { ...known, enabled })
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
