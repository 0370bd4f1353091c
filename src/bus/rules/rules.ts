import { MillraceError } from '../../core/errors.ts'
import type { AnyEventType } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { LogEngine } from '../../log/port.ts'
import type { RoutedView } from '../routed-view.ts'
import type { EventReader } from '../upcast.ts'
import { checkCompiles } from './check-compiles.ts'
import type { CompileExpression, RuleDecision, RuleFailure } from './compiled-rules.ts'
import { checkPolicy, checkRule, checkRuleName, type Rule, type RulePolicy } from './rule.ts'
import { checkRuleChange, type RuleBook, type RuleChange, rulesInOrder } from './rule-book.ts'
import { appendRuleChange } from './rule-changes.ts'
import type { RecordedChange, RuleHistory } from './rule-history.ts'
import { type RuleTrial, type RuleTrialOptions, tryRules } from './rule-trial.ts'

/** Who makes a change and why, where they say so; kept with the change. */
export interface RuleChangeNote {
  readonly by?: string
  readonly reason?: string
}

/** What a rule has done in this process since it started. */
export interface RuleCounts {
  /** Events that it matched. */
  readonly matched: number
  /** Events on which it acted. */
  readonly acted: number
  /** Events on which it could not be evaluated, or could not do its part. */
  readonly failed: number
  /** Events on which it matched beside others, under the policy `exclusive`. */
  readonly conflicts: number
  /** Why it failed the last time. */
  readonly lastProblem?: string
}

/** A rule with what it has done. */
export interface RuleStatus {
  readonly rule: Rule
  readonly counts: RuleCounts
}

/** The rules of an application, in the order in which they are tried. */
export interface RuleList {
  readonly policy: RulePolicy
  readonly rules: readonly RuleStatus[]
}

/** What the rules of an application work with. */
export interface RulesTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  readonly events: ReadonlyMap<string, AnyEventType>
  /** The names of the handlers that events can be sent to. */
  readonly handlers: ReadonlySet<string>
  /** Throws `EVENT_OF_STREAM` for a type that rules cannot emit. */
  checkAdmissible(type: AnyEventType): void
  readonly readEvent: EventReader
  readonly view: RoutedView
  readonly history: RuleHistory
  readonly signal: AbortSignal
  /** The topics that rules hold for. */
  topics(): readonly string[]
  loadCompiler(): Promise<CompileExpression>
}

const noCounts: RuleCounts = { matched: 0, acted: 0, failed: 0, conflicts: 0 }

/**
 * The rules of an application: data that is changed while it runs. Every change is a record, so it can be read again, and takes
 * effect at a definite place of every partition, the same for every process and every replay.
 */
export class Rules {
  readonly #tools: RulesTools
  readonly #counts = new Map<string, RuleCounts>()

  constructor(tools: RulesTools) {
    this.#tools = tools
  }

  /** The rules as they are now. */
  async list(): Promise<RuleList> {
    const book = await this.#book()
    const rules = rulesInOrder(book).map((rule) => ({
      rule,
      counts: this.#counts.get(rule.name) ?? noCounts,
    }))
    return { policy: book.policy, rules }
  }

  /** One rule; `RULE_UNKNOWN` where there is none of that name. */
  async get(name: string): Promise<RuleStatus> {
    const rule = (await this.#book()).rules.get(checkRuleName(name))
    if (rule !== undefined) return { rule, counts: this.#counts.get(name) ?? noCounts }
    throw new MillraceError('RULE_UNKNOWN', `There is no rule '${name}'.`, {
      where: 'name',
      fix: 'List the rules with `millrace rules list`.',
    })
  }

  /**
   * Creates rules, or replaces those of the same names, all in one change. `RULE_INVALID` or `PATTERN_INVALID` when one of them
   * cannot work; then nothing changes.
   */
  async put(rules: readonly unknown[], note: RuleChangeNote = {}): Promise<RecordedChange> {
    if (rules.length === 0) throw new TypeError('rules.put: there must be at least one rule')
    const checked = rules.map((rule) => checkRule(plainOf(rule)))
    const compile = await this.#tools.loadCompiler()
    const topics = new Set(this.#tools.topics())
    for (const rule of checked) checkCompiles(rule, { ...this.#tools, compile, topics })
    return this.#change({ change: 'put', rules: checked, ...checkNote(note) })
  }

  /** Removes a rule. */
  async remove(name: string, note: RuleChangeNote = {}): Promise<RecordedChange> {
    return this.#change({ change: 'remove', name: checkRuleName(name), ...checkNote(note) })
  }

  /** Switches a rule on. */
  async enable(name: string, note: RuleChangeNote = {}): Promise<RecordedChange> {
    return this.#change({ change: 'enable', name: checkRuleName(name), ...checkNote(note) })
  }

  /** Switches a rule off; it stays, and matches nothing. */
  async disable(name: string, note: RuleChangeNote = {}): Promise<RecordedChange> {
    return this.#change({ change: 'disable', name: checkRuleName(name), ...checkNote(note) })
  }

  /** Says what happens where several rules match one event. */
  async setPolicy(policy: RulePolicy, note: RuleChangeNote = {}): Promise<RecordedChange> {
    return this.#change({ change: 'policy', policy: checkPolicy(policy), ...checkNote(note) })
  }

  /** Every change there ever was, the oldest first. */
  async changes(): Promise<readonly RecordedChange[]> {
    await this.#tools.history.refresh()
    return [...this.#tools.history.changes]
  }

  /**
   * What rules would have said of events that are in the log, without doing anything: the rules there are, or those that are given
   * instead.
   */
  async try(options: RuleTrialOptions = {}): Promise<RuleTrial> {
    const given = options.rules?.map((rule) => checkRule(plainOf(rule)))
    const policy = options.policy === undefined ? undefined : checkPolicy(options.policy)
    checkTopic(options.topic, this.#tools.topics())
    const book = await this.#book()
    const rules = given === undefined ? book.rules : new Map(given.map((rule) => [rule.name, rule]))
    const compile = await this.#tools.loadCompiler()
    for (const rule of given ?? [])
      checkCompiles(rule, { ...this.#tools, compile, topics: new Set(this.#tools.topics()) })
    return tryRules({ policy: policy ?? book.policy, rules }, options, { ...this.#tools, compile })
  }

  /** Takes note of what was decided on an event, and of what could not be done. */
  note(decision: RuleDecision, failures: readonly RuleFailure[]): void {
    const acting = new Set(decision.acting.map(({ name }) => name))
    const failed = new Map(failures.map(({ rule, problem }) => [rule, problem]))
    for (const { name } of decision.matched) {
      const counts = this.#counts.get(name) ?? noCounts
      this.#counts.set(name, {
        ...counts,
        matched: counts.matched + 1,
        acted: counts.acted + (acting.has(name) && !failed.has(name) ? 1 : 0),
        conflicts: counts.conflicts + (acting.size === 0 ? 1 : 0),
      })
    }
    for (const [name, lastProblem] of failed) {
      const counts = this.#counts.get(name) ?? noCounts
      this.#counts.set(name, { ...counts, failed: counts.failed + 1, lastProblem })
    }
  }

  async #book(): Promise<RuleBook> {
    await this.#tools.history.refresh()
    return this.#tools.history.book
  }

  async #change(change: RuleChange): Promise<RecordedChange> {
    const { history } = this.#tools
    checkRuleChange(await this.#book(), change)
    const id = await appendRuleChange(change, this.#tools)
    await history.refresh()
    return history.changes[history.indexOf(id) ?? -1] as RecordedChange
  }
}

function checkTopic(topic: string | undefined, topics: readonly string[]): void {
  if (topic === undefined || topics.includes(topic)) return
  throw new MillraceError('TOPIC_UNKNOWN', `The application has no topic '${topic}'.`, {
    where: 'topic',
    fix: `Use one of: ${topics.join(', ')}.`,
  })
}

/** A value as the log keeps it, so that what is checked is what is stored. */
function plainOf(value: unknown): unknown {
  const text = JSON.stringify(value)
  return text === undefined ? undefined : JSON.parse(text)
}

function checkNote({ by, reason }: RuleChangeNote): RuleChangeNote {
  for (const [name, text] of Object.entries({ by, reason })) {
    if (text !== undefined && typeof text !== 'string') throw new TypeError(`rules: '${name}' must be text`)
  }
  return { ...(by === undefined ? {} : { by }), ...(reason === undefined ? {} : { reason }) }
}
