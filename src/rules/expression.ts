import { type CelInput, celEnv, isCelError, parse, plan } from '@bufbuild/cel'
import { MillraceError, messageOf } from '../core/errors.ts'
import { type AttributeConditions, attributeConditions } from './attribute-conditions.ts'
import { bounded, boundedFunctions, countCost, maxLoopRounds } from './expression-cost.ts'
import { inspectSyntax } from './expression-syntax.ts'
import { type JsonValue, jsonValueOf } from './json-value.ts'

/** The most characters that an expression may have. */
export const maxExpressionLength = 4_096
/** How deep macros that walk a list or a map (`all`, `exists`, `map`, `filter`) may be nested. */
export const maxNestedLoops = 2

/** What an expression is evaluated with: a value for each of its variables. */
export type Bindings = Readonly<Record<string, unknown>>

/** What came of an evaluation: a value that JSON can hold, or why there is none. */
export type Evaluation =
  | { readonly ok: true; readonly value: JsonValue }
  | { readonly ok: false; readonly problem: string }

/** An expression of the Common Expression Language, compiled once and evaluated often. */
export interface Expression {
  readonly text: string
  /** The variables that it names, sorted. */
  readonly variables: readonly string[]
  /** The paths that it reads, such as `event.data.amount`, sorted; a computed index ends the path. */
  readonly reads: readonly string[]
  /** What the attributes of `event` must be for it to be true or to fail; it is false on every other event. */
  readonly attributes: AttributeConditions
  /** Evaluates it; never throws, and always gives the same for the same bindings. */
  evaluate(bindings: Bindings): Evaluation
}

/** Options of {@link compileExpression}. */
export interface ExpressionOptions {
  /** The variables that an evaluation has; any other name is refused. Without it every name is allowed. */
  readonly variables?: readonly string[]
  /** Where the expression stands, for errors; `expression` unless given. */
  readonly where?: string
}

const environment = celEnv({ funcs: boundedFunctions })

/**
 * Compiles an expression of CEL, with the string functions of its extension library. Numbers of events are doubles, as
 * protobuf's JSON has it: comparisons with integers work, arithmetic needs `1.0`. Evaluation ends soon: the language has no
 * loops but over what it is given, these nest at most {@link maxNestedLoops} deep, and all of them take 300,000
 * rounds at most. `RULE_INVALID` says what cannot
 * be compiled and where.
 */
export function compileExpression(text: string, options: ExpressionOptions = {}): Expression {
  const where = options.where ?? 'expression'
  if (typeof text !== 'string' || text.trim() === '') {
    throw invalid('An expression must be text, and not empty.', where)
  }
  if (text.length > maxExpressionLength) {
    throw invalid(
      `An expression has at most ${maxExpressionLength} characters; this one has ${text.length}.`,
      where,
    )
  }
  const parsed = parseExpression(text, where)
  const { variables, reads, loops } = inspectSyntax(parsed.expr)
  if (loops > maxNestedLoops) {
    throw invalid(`Loops nest at most ${maxNestedLoops} deep; here it is ${loops}.`, where)
  }
  const unknown = variables.filter((name) => options.variables?.includes(name) === false)
  if (unknown.length > 0) {
    const known = options.variables?.join(', ')
    throw invalid(`There is no variable '${unknown.join("', '")}'; there is ${known}.`, where)
  }
  const attributes = attributeConditions(parsed.expr)
  if (loops > 0) countCost(parsed.expr)
  const run = plan(environment, parsed)
  return {
    text,
    variables,
    reads,
    attributes,
    evaluate: (bindings) => {
      const missing = variables.filter((name) => bindings[name] === undefined)
      const { result, tooLong } = bounded(() =>
        evaluate(() => run(bindings as Record<string, CelInput>), missing),
      )
      return tooLong ? endless : result
    },
  }
}

const endless: Evaluation = {
  ok: false,
  problem: `its loops take more than ${maxLoopRounds} rounds on these values`,
}

function parseExpression(text: string, where: string): ReturnType<typeof parse> {
  try {
    return parse(text)
  } catch (cause) {
    // The parser begins its message with `<input>:LINE:COLUMN: `.
    const [, line, column, problem] = /^<input>:(\d+):(\d+):\s*(.*)$/s.exec(messageOf(cause)) ?? []
    const place = line === undefined ? where : `${where}, line ${line}, column ${column}`
    throw invalid(`This is no expression of CEL: ${problem ?? messageOf(cause)}.`, place, cause)
  }
}

function evaluate(run: () => unknown, missing: readonly string[]): Evaluation {
  try {
    const value = run()
    if (isCelError(value)) return { ok: false, problem: problemOf(value.message, missing) }
    return { ok: true, value: jsonValueOf(value as Parameters<typeof jsonValueOf>[0]) }
  } catch (error) {
    return { ok: false, problem: messageOf(error) }
  }
}

function problemOf(message: string, missing: readonly string[]): string {
  if (/unresolved attribute/.test(message) && missing.length > 0)
    return `there is no value for '${missing.join("', '")}'`
  const mixesNumbers = /overload/.test(message) && /double/.test(message) && /int/.test(message)
  return mixesNumbers ? `${message} (numbers of events are doubles: write 1.0 rather than 1)` : message
}

function invalid(message: string, where: string, cause?: unknown): MillraceError {
  return new MillraceError('RULE_INVALID', message, {
    where,
    fix: 'Write an expression of CEL, such as "event.data.amount > 100"; docs/rules.md has the language.',
    cause,
  })
}
