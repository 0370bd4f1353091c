import { messageOf } from '../core/errors.ts'
import type { FactSchemas, Rule } from './definitions.ts'
import { compileExpression, type Expression } from './expression.ts'

type Facts = Readonly<Record<string, unknown>>

/** What trying a rule gives: what it read, and what it would set or why that cannot be said. */
export interface RuleOutcome {
  readonly read: Facts
  readonly changes: Facts
  readonly problem?: string
}

/** A rule ready to be tried. */
export interface CompiledRule {
  readonly name: string
  evaluate(facts: Facts): RuleOutcome
}

type Part = (facts: Facts) => { readonly value: unknown } | { readonly problem: string }

/** Checks and compiles rules, in the order in which they are tried: by priority, then as listed. */
export function compileRules(
  name: string,
  schemas: FactSchemas,
  rules: readonly Rule<FactSchemas>[],
): readonly CompiledRule[] {
  const facts = Object.keys(schemas)
  const names = new Set<string>()
  for (const rule of rules) {
    if (typeof rule?.name !== 'string' || rule.name === '' || names.has(rule.name)) {
      throw new TypeError(
        `ruleset '${name}': every rule needs a name of its own, not '${String(rule?.name)}'`,
      )
    }
    if (rule.priority !== undefined && !Number.isFinite(rule.priority)) {
      throw new TypeError(`ruleset '${name}': the priority of rule '${rule.name}' must be a number`)
    }
    names.add(rule.name)
  }
  const ordered = [...rules].sort((one, other) => (other.priority ?? 0) - (one.priority ?? 0))
  return ordered.map((rule) => compileRule(rule, facts, `ruleset '${name}', rule '${rule.name}'`))
}

function compileRule(rule: Rule<FactSchemas>, facts: readonly string[], where: string): CompiledRule {
  const when = partOf(rule.when, facts, `${where}, when`)
  const set = setOf(rule.set, facts, where)
  return {
    name: rule.name,
    evaluate: (all) => {
      const read: Record<string, unknown> = {}
      const seen = recording(all, read)
      const condition = when(seen)
      if ('problem' in condition) return { read, changes: {}, problem: condition.problem }
      if (condition.value !== true) return { read, changes: {}, ...notTruth(condition.value) }
      const changes = set(seen)
      if ('problem' in changes) return { read, changes: {}, problem: changes.problem }
      return { read, changes: changes.value as Facts }
    },
  }
}

function notTruth(value: unknown): { problem?: string } {
  return value === false ? {} : { problem: `its condition gave ${JSON.stringify(value)}, not true or false` }
}

function setOf(set: Rule<FactSchemas>['set'], facts: readonly string[], where: string): Part {
  if (typeof set === 'function') return partOf(set, facts, `${where}, set`)
  const parts = Object.entries(set ?? {}).map(([fact, text]) => {
    if (!facts.includes(fact)) throw new TypeError(`${where}: there is no fact '${fact}' to set`)
    return [fact, partOf(text as string, facts, `${where}, set.${fact}`)] as const
  })
  return (seen) => {
    const values: Record<string, unknown> = {}
    for (const [fact, part] of parts) {
      const outcome = part(seen)
      if ('problem' in outcome) return outcome
      values[fact] = outcome.value
    }
    return { value: values }
  }
}

function partOf(source: string | ((facts: never) => unknown), facts: readonly string[], where: string): Part {
  if (typeof source === 'function') return (seen) => attempt(() => source(seen as never))
  const expression = compileExpression(source, { variables: facts, where })
  return (seen) => evaluate(expression, seen)
}

function attempt(run: () => unknown): { value: unknown } | { problem: string } {
  try {
    return { value: run() }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

function evaluate(expression: Expression, seen: Facts): { value: unknown } | { problem: string } {
  const bindings = Object.fromEntries(
    expression.variables.filter((name) => seen[name] !== undefined).map((name) => [name, seen[name]]),
  )
  const outcome = expression.evaluate(bindings)
  return outcome.ok ? { value: outcome.value } : { problem: outcome.problem }
}

/** The facts, noting in `read` which of them are looked at; nothing can be set through it. */
function recording(facts: Facts, read: Record<string, unknown>): Facts {
  const note = (name: string | symbol) => {
    if (typeof name === 'string') read[name] = facts[name]
  }
  return new Proxy(facts, {
    get: (target, name) => {
      note(name)
      return Reflect.get(target, name)
    },
    has: (target, name) => {
      note(name)
      return Reflect.has(target, name)
    },
    ownKeys: (target) => {
      Object.keys(target).forEach(note)
      return Reflect.ownKeys(target)
    },
    set: () => false,
  })
}
