import type { Event } from '../../core/event.ts'
import type { Offset, Place } from '../../log/port.ts'
import { CompiledRules, type CompileExpression, noDecision, type RuleDecision } from './compiled-rules.ts'
import type { RuleBook } from './rule-book.ts'
import { findMark, type MarkReader, type RecordedChange, type RuleHistory } from './rule-history.ts'
import { RuleTimeline } from './rule-timeline.ts'

/** What the rules of a partition are read with. */
export interface PartitionRulesTools extends MarkReader {
  readonly history: RuleHistory
  /** Loads the compiler of conditions, which is needed only where there are rules. */
  loadCompiler(): Promise<CompileExpression>
}

/**
 * The rules of an application as they hold in one partition. A record is decided by the rules that hold at its offset, once for all
 * handlers that look at it.
 */
export class PartitionRules {
  readonly #partition: number
  readonly #tools: PartitionRulesTools
  readonly #timelines = new Map<string, RuleTimeline>()
  readonly #compiled = new WeakMap<RuleBook, CompiledRules>()
  readonly #decisions = new WeakMap<Event, RuleDecision>()
  #compile: CompileExpression | undefined

  constructor(partition: number, tools: PartitionRulesTools) {
    this.#partition = partition
    this.#tools = tools
  }

  /** Whether the application ever had a rule, as far as this process knows. */
  get hasRules(): boolean {
    return this.#tools.history.changes.length > 0
  }

  /** Whether any change to the rules is known to have taken effect in a topic. */
  hasMarks(topic: string): boolean {
    return this.#timelines.get(topic)?.hasMarks === true
  }

  /** The first offset of a topic that any rule ever held for. */
  async beginningOf(topic: string): Promise<Offset> {
    const place: Place = { topic, partition: this.#partition }
    const { start, end } = await this.#tools.engine.bounds(place)
    const [first] = this.#tools.history.changes
    const mark = first === undefined ? undefined : await this.#offsetOf(place, first)
    return mark === undefined ? end : Math.max(start, mark + 1)
  }

  /** What was decided on an event when it was offered. */
  decisionOf(event: Event): RuleDecision {
    return this.#decisions.get(event) ?? noDecision
  }

  /**
   * Finds out which rules hold in these topics, from the offset of each on: what is before it is read by nobody any more.
   */
  async load(needed: ReadonlyMap<string, Offset>): Promise<void> {
    await this.#tools.history.refresh(this.#tools.signal)
    if (this.#tools.history.changes.length > 0) this.#compile = await this.#tools.loadCompiler()
    for (const [topic, from] of needed) {
      const timeline = new RuleTimeline()
      for (const { id, offset } of await this.#marksFrom(topic, from)) this.#add(timeline, id, offset)
      this.#timelines.set(topic, timeline)
    }
  }

  /** Takes a mark that was read in a topic, before anything behind it is decided. */
  async take(topic: string, offset: Offset, change: string): Promise<void> {
    const timeline = this.#timelines.get(topic)
    if (timeline === undefined || timeline.has(change)) return
    const { history, signal } = this.#tools
    if (history.bookAfter(change) === undefined) await history.refresh(signal)
    this.#compile ??= await this.#tools.loadCompiler()
    this.#add(timeline, change, offset)
  }

  /** What the rules say of a record. */
  decide(at: { readonly topic: string; readonly offset: Offset }, event: Event): RuleDecision {
    const timeline = this.#timelines.get(at.topic)
    if (timeline === undefined || this.#compile === undefined || isDecided(event)) return noDecision
    let decision = this.#decisions.get(event)
    if (decision === undefined) {
      decision = this.#rulesOf(timeline.bookAt(at.offset), this.#compile).decide(event)
      this.#decisions.set(event, decision)
    }
    return decision
  }

  #add(timeline: RuleTimeline, change: string, offset: Offset): void {
    const book = this.#tools.history.bookAfter(change)
    // Anybody can append a mark; one of no change means nothing.
    if (book !== undefined) timeline.add(change, offset, book)
  }

  #rulesOf(book: RuleBook, compile: CompileExpression): CompiledRules {
    let rules = this.#compiled.get(book)
    if (rules === undefined) {
      rules = new CompiledRules(book, compile)
      this.#compiled.set(book, rules)
    }
    return rules
  }

  /** The marks that matter from an offset on, and the last one before it, in order. */
  async #marksFrom(topic: string, from: Offset): Promise<readonly { id: string; offset: Offset }[]> {
    const place: Place = { topic, partition: this.#partition }
    const found: { id: string; offset: Offset }[] = []
    for (const change of this.#tools.history.changes.toReversed()) {
      const offset = await this.#offsetOf(place, change)
      if (offset === undefined) continue
      found.unshift({ id: change.id, offset })
      if (offset < from) break
    }
    return found
  }

  /** Where a change takes effect; before everything in a topic that came later, and unknown where its mark is not read yet. */
  #offsetOf(place: Place, { id, timeMs, marks }: RecordedChange): Promise<Offset | undefined> | Offset {
    if (marks === undefined) return findMark(place, id, timeMs, this.#tools)
    return marks[place.topic]?.[place.partition] ?? -1
  }
}

/** What was sent to one handler, or moved by a rule, is decided already. */
function isDecided({ millraceto, millracemoved }: Event): boolean {
  return millraceto !== undefined || millracemoved === true
}
