import type { Event } from '../../core/event.ts'
import type { LogEngine, Offset, Place } from '../../log/port.ts'
import type { LogRecord } from '../record-cache.ts'
import type { ApplicationRules } from './application-rules.ts'
import { isDecided, noDecision, type RuleDecision } from './compiled-rules.ts'
import { findMark, type RecordedChange } from './rule-history.ts'
import { ruleMarkOf } from './rule-marks.ts'
import { type RuleMark, RuleTimeline } from './rule-timeline.ts'

/** What the rules of a partition are read with. */
export interface PartitionRulesTools {
  readonly engine: LogEngine
  readonly application: ApplicationRules
  readonly signal: AbortSignal
}

/**
 * The rules of an application as they hold in one partition. A record is decided by the rules that hold at its offset, once for all
 * handlers that look at it.
 */
export class PartitionRules {
  readonly #partition: number
  readonly #tools: PartitionRulesTools
  readonly #timelines = new Map<string, RuleTimeline>()
  readonly #decisions = new WeakMap<Event, RuleDecision>()

  constructor(partition: number, tools: PartitionRulesTools) {
    this.#partition = partition
    this.#tools = tools
  }

  /** Whether the application ever had a rule, as far as this process knows. */
  get hasRules(): boolean {
    return this.#tools.application.history.changes.length > 0
  }

  /** The first offset of a topic that any rule ever held for. */
  async beginningOf(topic: string): Promise<Offset> {
    const { start, end } = await this.#tools.engine.bounds({ topic, partition: this.#partition })
    const mark = this.#timelines.get(topic)?.beginning
    return mark === undefined ? end : Math.max(start, mark + 1)
  }

  /** What was decided on an event when it was offered. */
  decisionOf(event: Event): RuleDecision {
    return this.#decisions.get(event) ?? noDecision
  }

  /** Finds out which rules hold where in the topics of the application. May be repeated while records are read. */
  async load(): Promise<void> {
    const { application } = this.#tools
    await application.history.refresh()
    await application.prepare()
    for (const topic of application.topics) {
      const timeline = this.#timelines.get(topic) ?? new RuleTimeline()
      // What is read meanwhile is added to it, so it is not replaced.
      this.#timelines.set(topic, timeline)
      const marks: RuleMark[] = []
      for (const [index, change] of application.history.changes.entries()) {
        const offset = await this.#offsetOf({ topic, partition: this.#partition }, change)
        if (offset !== undefined) marks.push({ offset, index })
      }
      timeline.add(marks)
    }
  }

  /** Takes the marks among records that were read in a topic, before anything behind them is decided; at once where there are none. */
  take(topic: string, records: readonly LogRecord[]): Promise<void> | undefined {
    const timeline = this.#timelines.get(topic)
    if (timeline === undefined) return undefined
    const marks = records.filter((record) => ruleMarkOf(record) !== undefined && !timeline.has(record.offset))
    return marks.length === 0 ? undefined : this.#takeMarks(timeline, marks)
  }

  async #takeMarks(timeline: RuleTimeline, marks: readonly LogRecord[]): Promise<void> {
    for (const record of marks) {
      const change = ruleMarkOf(record)
      if (change === undefined || timeline.has(record.offset)) continue
      const { history } = this.#tools.application
      if (history.indexOf(change) === undefined) await history.refresh()
      await this.#tools.application.prepare()
      const index = history.indexOf(change)
      // Whoever can append to the log itself can append a mark; one of no change means nothing.
      if (index !== undefined) timeline.add([{ offset: record.offset, index }])
    }
  }

  /** What the rules say of a record. */
  decide(at: { readonly topic: string; readonly offset: Offset }, event: Event): RuleDecision {
    const timeline = this.#timelines.get(at.topic)
    if (timeline?.beginning === undefined || isDecided(event)) return noDecision
    let decision = this.#decisions.get(event)
    if (decision === undefined) {
      const index = timeline.changeAt(at.offset)
      if (index < 0) return noDecision
      decision = this.#tools.application.after(index)?.decide(event) ?? noDecision
      this.#decisions.set(event, decision)
    }
    return decision
  }

  /** Where a change takes effect; undefined where it does not hold, and where its mark is still to be read. */
  async #offsetOf(place: Place, change: RecordedChange): Promise<Offset | undefined> {
    const { engine, signal } = this.#tools
    const told = change.marks?.[place.topic]?.[place.partition]
    if (told !== undefined || change.marks !== undefined || !change.topics.includes(place.topic)) return told
    return (await findMark(place, change, engine, signal)) ?? -1
  }
}
