import { MillraceError } from '../core/errors.ts'
import { type Schema, validate } from '../core/schema.ts'
import { type CompiledRule, compileRules } from './compile-rules.ts'
import type { FactChanges, FactSchemas, FactsOf, Rule } from './definitions.ts'

/** Options of {@link ruleset}. */
export interface RulesetOptions<Schemas extends FactSchemas> {
  readonly facts: Schemas
  readonly rules: readonly Rule<Schemas>[]
  /** How many rounds a run may take before it is `RULES_UNENDING`; 100 unless given. */
  readonly maxRounds?: number
}

/** One firing of a rule: why, and what it changed. */
export interface Firing {
  readonly rule: string
  /** In which round, from 1. */
  readonly round: number
  /** The facts that its condition and its values read, as they were. */
  readonly because: Readonly<Record<string, unknown>>
  /** The facts that it changed. */
  readonly set: Readonly<Record<string, { readonly from: unknown; readonly to: unknown }>>
}

/** A rule that could not be evaluated with the facts that hold at the end, such as one that reads a missing fact. */
export interface RuleProblem {
  readonly rule: string
  readonly problem: string
}

/** What a run came to. */
export interface Conclusion<Schemas extends FactSchemas> {
  readonly facts: FactsOf<Schemas>
  /** Every firing in order: the explanation of {@link facts}. */
  readonly firings: readonly Firing[]
  readonly problems: readonly RuleProblem[]
  readonly rounds: number
}

/** The state cells that {@link Ruleset.apply} reads and sets; a handler's `ctx` is one. */
export interface FactHolder {
  readonly state: Readonly<Record<string, { get(): Promise<unknown>; set(value: never): void }>>
}

/** Rules that are run together, made by {@link ruleset}. */
export interface Ruleset<Schemas extends FactSchemas> {
  readonly name: string
  /**
   * Fires rules from these facts until none has anything to change. The same facts always give the same conclusion.
   * `FACT_INVALID` when a fact does not match its schema, `RULES_UNENDING` when the rounds do not end.
   */
  run(facts: FactChanges<Schemas>): Promise<Conclusion<Schemas>>
  /**
   * Runs over the state of a handler's key and what is given, which goes before it: facts that bear the name of a state cell are
   * read from it, and set in it where a rule changed them, so that they commit with the event.
   */
  apply(ctx: FactHolder, given: FactChanges<Schemas>): Promise<Conclusion<Schemas>>
}

const defaultMaxRounds = 100

/**
 * Declares rules that work together by forward chaining: what one sets can make another's condition hold, until nothing
 * changes any more. In a round every rule is tried once, by priority and then as listed, and sees what those before it have
 * set. A rule is tried again only when a fact that it read has changed, and a firing that changes nothing is none.
 * Throws `TypeError` for options that cannot work, `RULE_INVALID` for an expression that is none.
 */
export function ruleset<const Schemas extends FactSchemas>(
  name: string,
  options: RulesetOptions<Schemas>,
): Ruleset<Schemas> {
  const { facts: schemas, maxRounds = defaultMaxRounds } = options
  if (!Number.isSafeInteger(maxRounds) || maxRounds < 1) {
    throw new TypeError(`ruleset '${name}': 'maxRounds' must be a whole number, at least 1`)
  }
  const rules = compileRules(name, schemas, options.rules as readonly Rule<FactSchemas>[])
  const run = async (given: Readonly<Record<string, unknown>>) => {
    const chaining = new Chaining(name, schemas, rules)
    await chaining.begin(given)
    return (await chaining.toFixpoint(maxRounds)) as unknown as Conclusion<Schemas>
  }
  return Object.freeze({
    name,
    run,
    apply: async (ctx: FactHolder, given: FactChanges<Schemas>) => {
      const kept = Object.keys(schemas).filter((fact) => ctx.state[fact] !== undefined && !(fact in given))
      const values = await Promise.all(kept.map(async (fact) => [fact, await ctx.state[fact]?.get()]))
      const conclusion = await run({ ...Object.fromEntries(values), ...given })
      const changed = new Set(conclusion.firings.flatMap(({ set }) => Object.keys(set)))
      for (const fact of changed) ctx.state[fact]?.set(conclusion.facts[fact] as never)
      return conclusion
    },
  })
}

/** One run: the facts as they change, and why. */
class Chaining {
  readonly #name: string
  readonly #schemas: FactSchemas
  readonly #rules: readonly CompiledRule[]
  readonly #facts: Record<string, unknown> = {}
  readonly #firings: Firing[] = []
  readonly #problems = new Map<string, string>()
  /** What a rule read when it was last tried; it is not tried again while that stands. */
  readonly #tried = new Map<string, Readonly<Record<string, unknown>>>()

  constructor(name: string, schemas: FactSchemas, rules: readonly CompiledRule[]) {
    this.#name = name
    this.#schemas = schemas
    this.#rules = rules
  }

  async begin(given: Readonly<Record<string, unknown>>): Promise<void> {
    for (const fact of Object.keys(given)) {
      if (this.#schemas[fact] === undefined) throw this.#factUnknown(fact)
    }
    for (const [fact, schema] of Object.entries(this.#schemas)) {
      const value = given[fact] === undefined ? await defaultOf(schema) : await this.#valid(fact, given[fact])
      if (value !== undefined) this.#facts[fact] = value
    }
  }

  async toFixpoint(maxRounds: number): Promise<Conclusion<FactSchemas>> {
    for (let round = 1; round <= maxRounds; round += 1) {
      const before = this.#firings.length
      for (const rule of this.#rules) await this.#try(rule, round)
      if (this.#firings.length === before) return this.#conclusion(round)
    }
    const last = [...new Set(this.#firings.slice(-this.#rules.length).map(({ rule }) => rule))]
    throw new MillraceError(
      'RULES_UNENDING',
      `The rules of '${this.#name}' still change facts after ${maxRounds} rounds: ${last.join(', ')}.`,
      {
        where: `ruleset '${this.#name}'`,
        fix: 'Give the rules that set what they read a condition that stops holding, or raise maxRounds.',
        facts: { ruleset: this.#name, firings: this.#firings.slice(-10) },
      },
    )
  }

  async #try(rule: CompiledRule, round: number): Promise<void> {
    const tried = this.#tried.get(rule.name)
    if (tried !== undefined && Object.keys(tried).every((fact) => Object.is(tried[fact], this.#facts[fact])))
      return
    const outcome = rule.evaluate(this.#facts)
    this.#tried.set(rule.name, outcome.read)
    this.#problems.delete(rule.name)
    if (outcome.problem !== undefined) {
      this.#problems.set(rule.name, outcome.problem)
      return
    }
    const set: Record<string, { from: unknown; to: unknown }> = {}
    for (const [fact, value] of Object.entries(outcome.changes)) {
      const to = await this.#valid(fact, value, rule.name)
      const from = this.#facts[fact]
      if (!isSame(from, to)) set[fact] = { from, to }
    }
    for (const [fact, { to }] of Object.entries(set)) this.#facts[fact] = to
    if (Object.keys(set).length > 0)
      this.#firings.push({ rule: rule.name, round, because: outcome.read, set })
  }

  #conclusion(rounds: number): Conclusion<FactSchemas> {
    return {
      facts: { ...this.#facts } as FactsOf<FactSchemas>,
      firings: this.#firings,
      problems: [...this.#problems].map(([rule, problem]) => ({ rule, problem })),
      rounds,
    }
  }

  async #valid(fact: string, value: unknown, rule?: string): Promise<unknown> {
    const schema = this.#schemas[fact]
    if (schema === undefined) throw this.#factUnknown(fact, rule)
    return validate(schema, value, {
      code: 'FACT_INVALID',
      what: `fact '${fact}'${rule === undefined ? '' : `, set by rule '${rule}',`} of ruleset '${this.#name}'`,
      root: fact,
      fix: 'Set it to what the schema of this fact takes.',
    })
  }

  #factUnknown(fact: string, rule?: string): MillraceError {
    const by = rule === undefined ? '' : ` that rule '${rule}' sets`
    return new MillraceError('FACT_INVALID', `Ruleset '${this.#name}' has no fact '${fact}'${by}.`, {
      where: `ruleset '${this.#name}'`,
      fix: `Use one of its facts: ${Object.keys(this.#schemas).join(', ')}.`,
    })
  }
}

async function defaultOf(schema: Schema): Promise<unknown> {
  const result = await schema['~standard'].validate(undefined)
  return result.issues === undefined ? result.value : undefined
}

function isSame(one: unknown, other: unknown): boolean {
  if (Object.is(one, other)) return true
  const areObjects = typeof one === 'object' && typeof other === 'object'
  return areObjects && JSON.stringify(one) === JSON.stringify(other)
}
