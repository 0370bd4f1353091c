import type { parse } from '@bufbuild/cel'

/** An expression as it was parsed. */
export type Syntax = NonNullable<ReturnType<typeof parse>['expr']> | undefined

/** Names that the language itself defines: its types, and where those of protobuf are. */
const definedNames = new Set([
  'bool',
  'bytes',
  'double',
  'google',
  'int',
  'list',
  'map',
  'null_type',
  'string',
  'type',
  'uint',
])

/** What the text of an expression says before it is evaluated. */
export interface SyntaxFacts {
  readonly variables: readonly string[]
  readonly reads: readonly string[]
  /** How deep the loops over lists and maps are nested. */
  readonly loops: number
}

/** The expressions that an expression consists of. */
export function partsOf(expr: Syntax): readonly Syntax[] {
  const kind = expr?.exprKind
  switch (kind?.case) {
    case 'selectExpr':
      return [kind.value.operand]
    case 'callExpr':
      return [kind.value.target, ...kind.value.args]
    case 'listExpr':
      return kind.value.elements
    case 'structExpr':
      return kind.value.entries.flatMap(({ keyKind, value }) => {
        return keyKind.case === 'mapKey' ? [keyKind.value, value] : [value]
      })
    case 'comprehensionExpr': {
      const { iterRange, accuInit, loopCondition, loopStep, result } = kind.value
      return [iterRange, accuInit, loopCondition, loopStep, result]
    }
    default:
      return []
  }
}

interface Walk {
  readonly variables: Set<string>
  readonly reads: Set<string>
  loops: number
}

/** The variables that an expression names, the paths that it reads from them, and how deep its loops are nested. */
export function inspectSyntax(expr: Syntax): SyntaxFacts {
  const walk: Walk = { variables: new Set(), reads: new Set(), loops: 0 }
  visit(expr, walk, new Set(), 0)
  return { variables: [...walk.variables].sort(), reads: [...walk.reads].sort(), loops: walk.loops }
}

function visit(expr: Syntax, walk: Walk, local: ReadonlySet<string>, depth: number): void {
  const path = pathOf(expr)
  if (path !== undefined) {
    const [root = ''] = path
    if (local.has(root) || definedNames.has(root)) return
    walk.variables.add(root)
    walk.reads.add(path.join('.'))
    return
  }
  const kind = expr?.exprKind
  if (kind?.case !== 'comprehensionExpr') {
    for (const part of partsOf(expr)) visit(part, walk, local, depth)
    return
  }
  const loop = kind.value
  walk.loops = Math.max(walk.loops, depth + 1)
  visit(loop.iterRange, walk, local, depth)
  visit(loop.accuInit, walk, local, depth)
  const inner = new Set([...local, loop.iterVar, loop.iterVar2, loop.accuVar])
  for (const each of [loop.loopCondition, loop.loopStep, loop.result]) visit(each, walk, inner, depth + 1)
}

/** The names of `a.b['c']` in order; undefined for anything that is not a plain path from a variable. */
function pathOf(expr: Syntax): string[] | undefined {
  const kind = expr?.exprKind
  if (kind?.case === 'identExpr') return [kind.value.name.replace(/^\./, '')]
  if (kind?.case === 'selectExpr') {
    const operand = pathOf(kind.value.operand)
    return operand && [...operand, kind.value.field]
  }
  if (kind?.case !== 'callExpr' || kind.value.function !== '_[_]') return undefined
  const [operand, index] = kind.value.args
  const path = pathOf(operand)
  const constant = index?.exprKind.case === 'constExpr' ? index.exprKind.value.constantKind : undefined
  return path !== undefined && constant?.case === 'stringValue' ? [...path, constant.value] : undefined
}
