import type { Syntax } from './expression-syntax.ts'

/** Attributes that every event has, and that are texts. */
const attributes = ['type', 'source'] as const
type Attribute = (typeof attributes)[number]

/** For attributes of an event, what they must be: lists of values and conditions, as `millrace/routing` has them. */
export type AttributeConditions = Readonly<Partial<Record<Attribute, readonly unknown[]>>>

interface Wanted {
  readonly attribute: Attribute
  readonly values: readonly unknown[]
}

/**
 * What `event.type` and `event.source` must be for an expression to be anything but false. An event that does not fit need not be
 * held against it: where one side of `&&` is false the whole is false, whatever becomes of the other. Nothing is said of other
 * parts of an event, for they may be absent, and then the expression fails, which is to be told.
 */
export function attributeConditions(expr: Syntax): AttributeConditions {
  const conditions: Partial<Record<Attribute, readonly unknown[]>> = {}
  for (const part of conjuncts(expr)) {
    const wanted = wantedBy(part)
    // Of two conditions on one attribute either is necessary; the first is as good as the other.
    if (wanted !== undefined) conditions[wanted.attribute] ??= wanted.values
  }
  return conditions
}

function conjuncts(expr: Syntax): readonly Syntax[] {
  const called = callOf(expr)
  return called?.function === '_&&_' ? called.args.flatMap(conjuncts) : [expr]
}

function wantedBy(expr: Syntax): Wanted | undefined {
  const called = callOf(expr)
  const [left, right] = called?.args ?? []
  switch (called?.function) {
    case '_==_':
      return wanted(left, textsOf(right)) ?? wanted(right, textsOf(left))
    case '@in':
      return wanted(left, listOf(right))
    case 'startsWith':
      return wanted(
        called.target,
        textsOf(left)?.map((prefix) => (prefix === '' ? { exists: true } : { prefix })),
      )
    case 'endsWith':
      return wanted(
        called.target,
        textsOf(left)?.map((suffix) => (suffix === '' ? { exists: true } : { suffix })),
      )
    case '_||_':
      return either(called.args.map(wantedBy))
    default:
      return undefined
  }
}

function either(alternatives: readonly (Wanted | undefined)[]): Wanted | undefined {
  const [first] = alternatives
  if (first === undefined) return undefined
  const values: unknown[] = []
  for (const each of alternatives) {
    if (each?.attribute !== first.attribute) return undefined
    values.push(...each.values)
  }
  return { attribute: first.attribute, values }
}

function wanted(expr: Syntax, values: readonly unknown[] | undefined): Wanted | undefined {
  if (values === undefined || values.length === 0 || expr?.exprKind.case !== 'selectExpr') return undefined
  const { operand, field, testOnly } = expr.exprKind.value
  const attribute = attributes.find((name) => name === field)
  const isEvent = operand?.exprKind.case === 'identExpr' && operand.exprKind.value.name === 'event'
  return attribute !== undefined && isEvent && !testOnly ? { attribute, values } : undefined
}

function callOf(expr: Syntax) {
  return expr?.exprKind.case === 'callExpr' ? expr.exprKind.value : undefined
}

function textsOf(expr: Syntax): readonly string[] | undefined {
  const constant = expr?.exprKind.case === 'constExpr' ? expr.exprKind.value.constantKind : undefined
  return constant?.case === 'stringValue' ? [constant.value] : undefined
}

function listOf(expr: Syntax): readonly string[] | undefined {
  if (expr?.exprKind.case !== 'listExpr') return undefined
  const texts = expr.exprKind.value.elements.map(textsOf)
  return texts.every((text) => text !== undefined) ? texts.flat() : undefined
}
