import { MillraceError } from '../../core/errors.ts'

/** What a rule's pattern is matched against; every part is optional, and all that are given must match. */
export interface RulePattern {
  /** Words with dots between them, `*` for one word, `>` at the end for the rest: `order.*`. */
  readonly type?: string
  /** The same over `subject`. */
  readonly subject?: string
  /** A pattern of the content, as `millrace/routing` has them: `{ amount: [{ numeric: ['>', 100] }] }`. */
  readonly data?: Readonly<Record<string, unknown>>
}

/** What a rule does with an event that it matches. */
export type RuleAction =
  /** Hands the event to one handler, whatever that handler's own event types are matched by. */
  | { readonly send: string }
  /** Emits an event of a declared type. `data` and `subject` are CEL over `event`; `data` gives an object. */
  | { readonly emit: string; readonly data: string; readonly subject?: string }
  /** Appends the event to another topic; the handlers of its own topic do not see it. */
  | { readonly move: string }
  /** No handler of its topic sees the event; it stays in the log. */
  | { readonly drop: true }

/** A rule: data that is created, changed and switched off while the application runs. */
export interface Rule {
  /** Unique in the application: words of letters, digits, `-` and `_`, with dots between them. */
  readonly name: string
  readonly description?: string
  readonly pattern?: RulePattern
  /** A condition in CEL over `event`, evaluated where the pattern matches. */
  readonly when?: string
  /** Rules of a higher priority come first; 0 unless given. Those of one priority are ordered by name. */
  readonly priority?: number
  /** A rule that is switched off stays, and matches nothing; true unless given. */
  readonly enabled?: boolean
  readonly actions: readonly RuleAction[]
}

/** What happens where several rules match one event. */
export type RulePolicy =
  /** Each does what it says, in order. */
  | 'all'
  /** Only the first does. */
  | 'first'
  /** None does: they are in conflict, which is counted and shown. */
  | 'exclusive'

/** The policies there are. */
export const rulePolicies: readonly RulePolicy[] = ['all', 'first', 'exclusive']

/** The most actions of one rule, and the most rules of one application. */
export const ruleBounds = { actions: 16, rules: 10_000, bytes: 64 * 1024 } as const

const namePattern = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/
const actionParts: Readonly<Record<string, readonly string[]>> = {
  send: ['send'],
  emit: ['emit', 'data', 'subject'],
  move: ['move'],
  drop: ['drop'],
}

/**
 * The rule that a value from outside is; `RULE_INVALID` with the path to what is wrong. What its pattern and its expressions
 * say is checked where they are compiled.
 */
export function checkRule(value: unknown): Rule {
  const rule = objectAt(value, 'rule', [
    'name',
    'description',
    'pattern',
    'when',
    'priority',
    'enabled',
    'actions',
  ])
  checkRuleName(rule.name)
  if (Buffer.byteLength(JSON.stringify(rule)) > ruleBounds.bytes) {
    throw invalid('rule', `has more than ${ruleBounds.bytes} bytes`)
  }
  optional(rule.description, 'description', 'text', (each) => typeof each === 'string')
  optional(rule.when, 'when', 'an expression of CEL', (each) => typeof each === 'string')
  optional(rule.priority, 'priority', 'a whole number', (each) => Number.isSafeInteger(each))
  optional(rule.enabled, 'enabled', 'true or false', (each) => typeof each === 'boolean')
  if (rule.pattern !== undefined) checkPattern(rule.pattern)
  const { actions } = rule
  if (!Array.isArray(actions) || actions.length === 0 || actions.length > ruleBounds.actions) {
    throw invalid('actions', `must be a list of 1 to ${ruleBounds.actions} actions`)
  }
  for (const [index, action] of actions.entries()) checkAction(action, `actions[${index}]`)
  return rule as unknown as Rule
}

/** The name that a value from outside is; `RULE_INVALID` when it cannot name a rule. */
export function checkRuleName(name: unknown): string {
  if (typeof name === 'string' && name.length <= 128 && namePattern.test(name)) return name
  throw invalid('name', "must be words of letters, digits, '-' and '_', with dots between them")
}

/** The policy that a value from outside is; `RULE_INVALID` when it is none. */
export function checkPolicy(policy: unknown): RulePolicy {
  if (rulePolicies.includes(policy as RulePolicy)) return policy as RulePolicy
  throw invalid('policy', `must be one of ${rulePolicies.join(', ')}`)
}

function checkPattern(value: unknown): void {
  const pattern = objectAt(value, 'pattern', ['type', 'subject', 'data'])
  for (const part of ['type', 'subject'] as const) {
    optional(
      pattern[part],
      `pattern.${part}`,
      'words with dots between them',
      (each) => typeof each === 'string',
    )
  }
  if (pattern.data !== undefined) objectAt(pattern.data, 'pattern.data')
  if (Object.keys(pattern).length === 0)
    throw invalid('pattern', 'has no part; leave it out to match every event')
}

function checkAction(value: unknown, where: string): void {
  const action = objectAt(value, where)
  const kinds = Object.keys(actionParts).filter((kind) => kind in action)
  const [kind = ''] = kinds
  if (kinds.length !== 1)
    throw invalid(where, `must have exactly one of ${Object.keys(actionParts).join(', ')}`)
  objectAt(value, where, actionParts[kind])
  if (kind === 'drop') {
    if (action.drop !== true) throw invalid(`${where}.drop`, 'must be true')
    return
  }
  const required = kind === 'emit' ? ['emit', 'data'] : [kind]
  for (const part of actionParts[kind] ?? []) {
    const isMissing = action[part] === undefined && !required.includes(part)
    if (!isMissing && (typeof action[part] !== 'string' || action[part] === '')) {
      throw invalid(`${where}.${part}`, 'must be text')
    }
  }
}

function objectAt(value: unknown, where: string, names?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(where, 'must be an object')
  }
  const unknown = Object.keys(value).find((name) => names?.includes(name) === false)
  if (unknown !== undefined)
    throw invalid(`${where}.${unknown}`, `is not known; there is ${names?.join(', ')}`)
  return value as Record<string, unknown>
}

function optional(value: unknown, where: string, what: string, isIt: (value: unknown) => boolean): void {
  if (value !== undefined && !isIt(value)) throw invalid(where, `must be ${what}`)
}

function invalid(where: string, problem: string): MillraceError {
  return new MillraceError('RULE_INVALID', `'${where}' ${problem}.`, {
    where,
    fix: 'Write the rule as docs/rules.md shows.',
  })
}
