import type { Event } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { LogEngine, Offset, Place } from '../../log/port.ts'
import { isInternalTopic } from '../internal-topics.ts'
import { LogRecord } from '../record-cache.ts'
import type { EventReader } from '../upcast.ts'
import { CompiledRules, isDecided, type RuleCompileTools } from './compiled-rules.ts'
import type { Rule, RulePolicy } from './rule.ts'
import type { RuleBook } from './rule-book.ts'

/** Options of a trial of rules against past events. */
export interface RuleTrialOptions {
  /** The rules to try; those of the application unless given. */
  readonly rules?: readonly unknown[]
  readonly policy?: RulePolicy
  /** The topic whose events they are tried on; every topic of the application unless given. */
  readonly topic?: string
  /** Only events from this time on, in milliseconds since 1970. */
  readonly fromMs?: number
  /** The most events to look at, the oldest of each partition first; 10,000 unless given. */
  readonly limit?: number
}

/** One event on which a rule matched, failed or was in conflict. */
export interface RuleTrialHit {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
  readonly type: string
  readonly id: string
  readonly matched: readonly string[]
  readonly acting: readonly string[]
  readonly hiddenBy?: string
  readonly failures: readonly { readonly rule: string; readonly problem: string }[]
}

/** What a trial came to. */
export interface RuleTrial {
  /** How many events were looked at. */
  readonly looked: number
  /** How many events each rule matched. */
  readonly matched: Readonly<Record<string, number>>
  /** The first hundred events on which anything matched or failed. */
  readonly hits: readonly RuleTrialHit[]
  /** Whether there were more events than the limit. */
  readonly cut: boolean
}

const maxHits = 100
const defaultLimit = 10_000
/** So few at once that a trial of many rules does not hold up the process. */
const readLimits = { records: 64, bytes: 1024 * 1024 } as const

/** Tries rules on events of the log, without doing anything. */
export async function tryRules(
  book: RuleBook,
  options: RuleTrialOptions,
  tools: RuleCompileTools & {
    readonly engine: LogEngine
    readonly runtime: Pick<Runtime, 'sleep'>
    readonly signal: AbortSignal
    readonly readEvent: EventReader
    topics(): readonly string[]
  },
): Promise<RuleTrial> {
  const rules = new CompiledRules(book, tools)
  const trial = new Trial(rules, options.limit ?? defaultLimit)
  const topics = options.topic === undefined ? tools.topics() : [options.topic]
  for (const topic of topics.filter((name) => !isInternalTopic(name))) {
    for (let partition = 0; partition < tools.engine.partitions; partition += 1) {
      const place = { topic, partition }
      const { start, end } = await tools.engine.bounds(place)
      const from = options.fromMs === undefined ? start : await tools.engine.offsetAt(place, options.fromMs)
      for (let next = from; next < end && !trial.isFull; ) {
        const batch = await tools.engine.read(place, next, readLimits, tools.signal)
        for (const { offset, value } of batch.records)
          trial.look(place, new LogRecord(place, offset, value, tools.readEvent))
        next = batch.next
        await tools.runtime.sleep(0, tools.signal)
      }
    }
  }
  return trial.result
}

class Trial {
  readonly #rules: CompiledRules
  readonly #limit: number
  readonly #matched = new Map<string, number>()
  readonly #hits: RuleTrialHit[] = []
  #looked = 0
  #cut = false

  constructor(rules: CompiledRules, limit: number) {
    this.#rules = rules
    this.#limit = limit
  }

  get isFull(): boolean {
    return this.#cut
  }

  get result(): RuleTrial {
    return {
      looked: this.#looked,
      matched: Object.fromEntries(this.#matched),
      hits: this.#hits,
      cut: this.#cut,
    }
  }

  look(place: Place, record: LogRecord): void {
    const event = readable(record)
    if (event === undefined || event.type.startsWith('millrace.') || isDecided(event)) return
    if (this.#looked >= this.#limit) {
      this.#cut = true
      return
    }
    this.#looked += 1
    const { matched, acting, failures, hiddenBy } = this.#rules.decide(event)
    for (const { name } of matched) this.#matched.set(name, (this.#matched.get(name) ?? 0) + 1)
    if (matched.length + failures.length === 0 || this.#hits.length >= maxHits) return
    this.#hits.push({
      ...place,
      offset: record.offset,
      type: event.type,
      id: event.id,
      matched: matched.map(nameOf),
      acting: acting.map(nameOf),
      ...(hiddenBy === undefined ? {} : { hiddenBy }),
      failures,
    })
  }
}

function nameOf({ name }: Rule): string {
  return name
}

function readable(record: LogRecord): Event | undefined {
  try {
    return record.event
  } catch {
    return undefined
  }
}
