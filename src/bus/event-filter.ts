import { isCommand } from '../core/command.ts'
import { MillraceError } from '../core/errors.ts'
import type { AnyEventType } from '../core/event.ts'
import { matchesType } from '../core/type-pattern.ts'
import { compileFilter } from '../routing/index.ts'

/** Which events a handler wants, where that is more than their types: every part that is given must match. */
export interface EventFilter {
  /** Words with dots between them, `*` for one and `>` at the end for the rest; or declared event types. */
  readonly type?: string | AnyEventType | readonly AnyEventType[]
  /** The same over `subject`, as text; or a list of values and conditions. */
  readonly subject?: string | readonly unknown[]
  /** A list of values and conditions over `source`. */
  readonly source?: readonly unknown[]
  /** A pattern of the content, as `millrace/routing` has them: `{ amount: [{ numeric: ['>', 100] }] }`. */
  readonly data?: Readonly<Record<string, unknown>>
  /** A condition in CEL over `event`, asked where everything else matches. One that cannot be evaluated does not hold. */
  readonly when?: string
}

/** What a filter asks of an event besides its type. */
export interface FilterCondition {
  /** What `compileFilter` takes; undefined where only the types matter. */
  readonly pattern: Readonly<Record<string, unknown>> | undefined
  readonly when: string | undefined
}

/** A filter, checked: the types that it names, or the pattern of their names, and what else it asks. */
export interface CheckedFilter {
  readonly events: readonly AnyEventType[]
  /** The names of the types, where they are not declared in the filter itself. */
  readonly typePattern?: string
  readonly condition?: FilterCondition
}

const parts = ['type', 'subject', 'source', 'data', 'when']

/** Checks a filter of a handler. `TypeError` for parts that there are not, `PATTERN_INVALID` for a pattern that cannot be. */
export function checkFilter(handler: string, filter: EventFilter): CheckedFilter {
  const unknown = Object.keys(filter).find((part) => !parts.includes(part))
  if (unknown !== undefined) {
    throw new TypeError(`on '${handler}': a filter has no '${unknown}'; it has ${parts.join(', ')}`)
  }
  if (Object.keys(filter).length === 0) {
    throw new TypeError(
      `on '${handler}': the first argument must be event types made by event(), or a filter of ${parts.join(', ')}`,
    )
  }
  const { type = '>', when, ...rest } = filter
  const events = typeof type === 'string' ? [] : Array.isArray(type) ? type : [type as AnyEventType]
  if (typeof type !== 'string' && (events.length === 0 || !events.every(isDeclared))) {
    throw new TypeError(
      `on '${handler}': 'type' must be a text such as 'order.*', or event types made by event()`,
    )
  }
  if (when !== undefined && typeof when !== 'string') {
    throw new TypeError(`on '${handler}': 'when' must be an expression of CEL, as text`)
  }
  const typePattern = typeof type === 'string' ? type : undefined
  if (typePattern !== undefined) compileFilter({ type: typePattern })
  const pattern = Object.keys(rest).length === 0 ? undefined : rest
  if (pattern !== undefined) compileFilter(pattern)
  const asksMore = pattern !== undefined || when !== undefined
  return {
    events,
    ...(typePattern === undefined ? {} : { typePattern }),
    ...(asksMore ? { condition: { pattern, when } } : {}),
  }
}

/** Whether a value was made by `event` or `command`, as far as its shape tells. */
export function isDeclared(value: unknown): value is AnyEventType {
  return typeof value === 'object' && value !== null && 'schema' in value && 'type' in value
}

/**
 * The event types of an application that a pattern of their names stands for; commands are not among them, because each has one
 * handler. `APP_INVALID` when there are none.
 */
export function typesNamed(
  handler: string,
  typePattern: string,
  events: ReadonlyMap<string, AnyEventType>,
): readonly AnyEventType[] {
  const named = [...events.values()].filter((type) => !isCommand(type) && matchesType(typePattern, type.type))
  if (named.length > 0) return named
  throw new MillraceError('APP_INVALID', `No event type of the application is named like '${typePattern}'.`, {
    where: `handler '${handler}'`,
    fix: 'List the event types under `events` of the application, or mend the pattern.',
  })
}
