import type { Event } from '../core/event.ts'
import { isFor } from './addressing.ts'
import { commandOf, type HandlerDefinition, type Tick } from './definitions.ts'
import type { HandlerFilters } from './handler-filters.ts'
import { rulesHandler } from './internal-topics.ts'
import type { LogRecord } from './record-cache.ts'
import { noDecision } from './rules/compiled-rules.ts'
import type { PartitionRules } from './rules/partition-rules.ts'
import { tickType } from './schedule.ts'

/** What decides beside the handler itself. */
export interface InterestTools {
  readonly filters: HandlerFilters
  readonly rules: PartitionRules
}

/** Which records a handler takes: by their type, by whom they are sent to, by its own filter, and by what the rules say. */
export class Interest {
  readonly types: ReadonlySet<string>
  readonly #definition: HandlerDefinition
  readonly #names: readonly (string | undefined)[]
  readonly #isCommand: boolean
  readonly #tools: InterestTools

  constructor(definition: HandlerDefinition, tools: InterestTools) {
    this.types = new Set(definition.kind === 'every' ? [tickType] : definition.events.map(({ type }) => type))
    this.#definition = definition
    this.#names = [definition.name, definition.options.renamedFrom]
    this.#isCommand = commandOf(definition) !== undefined
    this.#tools = tools
  }

  /** Whether it takes a record. */
  readonly wants = (record: LogRecord, event: Event): boolean => {
    return this.isMeant(event) && this.isLetThrough(record, event)
  }

  /** Whether an event is one of its types, and not for another handler alone. */
  isMeant(event: Event): boolean {
    const { kind, name } = this.#definition
    if (kind === 'every') return (event.data as Tick).name === name
    return this.types.has(event.type) && isFor(event, this.#names)
  }

  /**
   * Whether neither its own filter nor a rule keeps a record from it. A command has a caller who waits, so no rule keeps it back, and
   * what cannot be read fails in its turn.
   */
  isLetThrough(record: LogRecord, event: Event): boolean {
    const { filters, rules } = this.#tools
    const { name } = this.#definition
    if (name === rulesHandler) return rules.decide(record, event) !== noDecision
    if (this.#isCommand) return true
    const isWanted = filters.lets(name, event) && rules.decide(record, event).hiddenBy === undefined
    return isWanted || !isReadable(record)
  }
}

function isReadable(record: LogRecord): boolean {
  try {
    return record.event !== undefined
  } catch {
    return false
  }
}
