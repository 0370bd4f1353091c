import type { AnyEventType } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { LogEngine } from '../../log/port.ts'
import type { compileExpression, Expression } from '../../rules/expression.ts'
import type { AddressOf } from '../addressing.ts'
import type { HandlerDefinition } from '../definitions.ts'
import type { RoutedView } from '../routed-view.ts'
import type { EventReader } from '../upcast.ts'
import { CompiledRules, type CompileExpression } from './compiled-rules.ts'
import type { RuleBook } from './rule-book.ts'
import { settleMarks } from './rule-changes.ts'
import { rulesHandlerDefinition } from './rule-handler.ts'
import { RuleHistory } from './rule-history.ts'
import { Rules } from './rules.ts'

/** What the rules of an application are made with. */
export interface ApplicationRulesOptions {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly source: string
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly handlers: ReadonlySet<string>
  readonly addressOf: AddressOf
  readonly readEvent: EventReader
  readonly view: RoutedView
  readonly signal: AbortSignal
  /** The topics that rules hold for. */
  topics(): readonly string[]
  /** Throws `EVENT_OF_STREAM` for a type that rules cannot emit. */
  checkAdmissible(type: AnyEventType): void
}

/** The rules of an application, as all its groups share them in one process. */
export class ApplicationRules {
  readonly history: RuleHistory
  /** What users see of them. */
  readonly face: Rules
  readonly topic: string
  readonly events: ReadonlyMap<string, AnyEventType>
  readonly addressOf: AddressOf
  readonly view: RoutedView
  readonly #options: ApplicationRulesOptions
  readonly #compiled = new WeakMap<RuleBook, CompiledRules>()
  #compile: CompileExpression | undefined

  constructor(options: ApplicationRulesOptions) {
    this.#options = options
    this.topic = rulesTopic(options.source)
    this.events = options.events
    this.addressOf = options.addressOf
    this.view = options.view
    this.history = new RuleHistory(options.engine, this.topic, options.signal)
    this.face = new Rules({ ...options, history: this.history, loadCompiler })
  }

  /** The topics that rules hold for. */
  get topics(): readonly string[] {
    return this.#options.topics()
  }

  /** The handler that does what rules say, once there are any: for what is told of handlers. */
  get definitions(): readonly HandlerDefinition[] {
    return this.history.changes.length === 0 ? [] : [rulesHandlerDefinition(this.events, () => {})]
  }

  /** Reads the changes there were, and settles where each takes effect. */
  async begin(): Promise<void> {
    await settleMarks({ ...this.#options, history: this.history })
    await this.prepare()
  }

  /** Loads the compiler, which is needed only where there are rules. */
  async prepare(): Promise<void> {
    if (this.history.changes.length > 0) this.#compile ??= await loadCompiler()
  }

  /** The compiled rules that hold after the change of this index; undefined before {@link prepare} has loaded the compiler. */
  after(index: number): CompiledRules | undefined {
    if (this.#compile === undefined) return undefined
    const book = this.history.bookAt(index)
    let rules = this.#compiled.get(book)
    if (rules === undefined) {
      rules = new CompiledRules(book, { compile: this.#compile, events: this.events, view: this.view })
      this.#compiled.set(book, rules)
    }
    return rules
  }

  readonly loadCompiler = loadCompiler
}

/** The topic in which an application keeps the changes to its rules. */
export function rulesTopic(app: string): string {
  return `millrace.${app}.rules`
}

/** How many expressions are kept compiled; beyond it all are compiled anew as they are met. */
const maxKept = 50_000

let compiler: CompileExpression | undefined

/** Loads the library of CEL where it is first needed. Expressions are compiled once, however often they are asked for. */
export async function loadCompiler(): Promise<CompileExpression> {
  if (compiler !== undefined) return compiler
  const { compileExpression } = await import('../../rules/expression.ts')
  compiler ??= remembering(compileExpression)
  return compiler
}

/** The compiler, where it was loaded already. */
export function loadedCompiler(): CompileExpression | undefined {
  return compiler
}

function remembering(compile: typeof compileExpression): CompileExpression {
  const known = new Map<string, Expression>()
  return (text, options) => {
    const name = `${options?.where ?? ''} ${text}`
    let expression = known.get(name)
    if (expression === undefined) {
      expression = compile(text, options)
      if (known.size >= maxKept) known.clear()
      known.set(name, expression)
    }
    return expression
  }
}
