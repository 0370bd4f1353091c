import { type CelList, CelScalar, type CelValue, celFunc, celList, celMethod, listType } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import { partsOf, type Syntax } from './expression-syntax.ts'

/** How many rounds all loops of one evaluation may take together. Looking at long text in a round counts as more of them. */
export const maxLoopRounds = 300_000
/** The most characters that a function may make. */
const maxTextLength = 16 * 1024 * 1024
/** So many characters that a function looks at count as a round. */
const textPerRound = 128

const { STRING, INT, BOOL, DYN } = CelScalar

// No expression can name these: they are put in by `countCost`.
const roundFunction = '@round'
const textFunction = '@text'
const appendFunction = '@append'

/** What the evaluation that runs may still take. It is synchronous, so there is one at a time. */
let rounds = 0

/** Evaluates something, and says whether it took more than its loops may. */
export function bounded<Result>(run: () => Result): { readonly result: Result; readonly tooLong: boolean } {
  rounds = maxLoopRounds
  const result = run()
  return { result, tooLong: rounds < 0 }
}

/** The arrays behind the lists that are being made. */
const growing = new WeakMap<CelList, CelValue[]>()

/** As `replace` of the extension library; the text that it gives is measured before it is made. */
function replace(this: string, part: string, replacement: string, limit = -1n): string {
  const pieces = part === '' ? ['', ...this, ''] : this.split(part)
  const most = pieces.length - 1
  const count = limit < 0n ? most : Math.min(Number(limit), most)
  checkLength('replace', this.length + count * (replacement.length - part.length))
  const rest = pieces.slice(count + 1).map((piece) => `${part}${piece}`)
  return pieces.slice(0, count + 1).join(replacement) + rest.join('')
}

/** As `join` of the extension library, measured as well: a list may hold one long text many times. */
function join(this: CelList, separator = ''): string {
  const texts: string[] = []
  let length = 0
  for (const each of this) {
    if (typeof each !== 'string') throw new TypeError('join takes a list of texts')
    texts.push(each)
    length += each.length + separator.length
    checkLength('join', length)
  }
  return texts.join(separator)
}

function checkLength(name: string, length: number): void {
  if (length > maxTextLength)
    throw new RangeError(`${name} would make a text of more than ${maxTextLength} characters`)
}

/** Lists are made by adding one element to all before it; the list grows in place, because nobody else has it. */
function append(list: CelList, element: CelValue): CelList {
  const known = growing.get(list)
  if (known !== undefined) {
    known.push(element)
    return list
  }
  const array = [...list, element]
  const made = celList(array)
  growing.set(made, array)
  return made
}

/** The string functions of the extension library with a bound on what they make, and what {@link countCost} puts into expressions. */
export const boundedFunctions = [
  ...strings.filter(({ name }) => name !== 'replace' && name !== 'join'),
  celMethod('replace', STRING, [STRING, STRING], STRING, replace),
  celMethod('replace', STRING, [STRING, STRING, INT], STRING, replace),
  celMethod('join', listType(DYN), [], STRING, join),
  celMethod('join', listType(DYN), [STRING], STRING, join),
  celFunc(roundFunction, [], BOOL, () => {
    rounds -= 1
    return rounds >= 0
  }),
  celFunc(textFunction, [DYN], DYN, (value) => {
    if (typeof value === 'string') rounds -= Math.floor(value.length / textPerRound)
    return value
  }),
  celFunc(appendFunction, [listType(DYN), DYN], listType(DYN), append),
]

/** Makes the loops of an expression count their rounds, and the text that is looked at in them. */
export function countCost(expr: Syntax, isInLoop = false): void {
  const kind = expr?.exprKind
  if (kind?.case !== 'comprehensionExpr') {
    for (const part of partsOf(expr)) countCost(part, isInLoop)
    if (isInLoop && kind?.case === 'callExpr' && /^[a-z]/i.test(kind.value.function)) countText(kind.value)
    return
  }
  const loop = kind.value
  countCost(loop.iterRange, isInLoop)
  for (const part of [loop.loopCondition, loop.loopStep, loop.result]) countCost(part, true)
  if (loop.loopCondition === undefined) return
  const { loopCondition } = loop
  loop.loopCondition = call(loopCondition, '_&&_', [call(loopCondition, roundFunction, []), loopCondition])
  growInPlace(loop.loopStep, loop.accuVar)
}

type Node = NonNullable<Syntax>
type Call = Extract<Node['exprKind'], { case: 'callExpr' }>['value']

function countText(called: Call): void {
  const [first, ...rest] = called.args
  if (called.target !== undefined) called.target = call(called.target, textFunction, [called.target])
  else if (first !== undefined) called.args = [call(first, textFunction, [first]), ...rest]
}

/** `made + [element]`, where a loop makes a list. */
function growInPlace(step: Syntax, made: string): void {
  if (step?.exprKind.case !== 'callExpr') return
  const { value } = step.exprKind
  for (const argument of value.args) growInPlace(argument, made)
  const [list, added] = value.args
  const isOfLoop = list?.exprKind.case === 'identExpr' && list.exprKind.value.name === made
  if (!isOfLoop || value.function !== '_+_' || added?.exprKind.case !== 'listExpr') return
  const [element] = added.exprKind.value.elements
  if (list === undefined || element === undefined) return
  value.function = appendFunction
  value.args = [list, element]
}

function call(at: Node, name: string, args: Node[]): Node {
  const value = { $typeName: 'cel.expr.Expr.Call' as const, function: name, args }
  return { $typeName: 'cel.expr.Expr', id: at.id, exprKind: { case: 'callExpr', value } }
}
