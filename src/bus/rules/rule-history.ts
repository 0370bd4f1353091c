import type { Event } from '../../core/event.ts'
import { decodeEvent, encodeEvent } from '../../core/event-codec.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Entry, LogEngine, Offset, Place } from '../../log/port.ts'
import { applyRuleChanges, emptyRuleBook, type RuleBook, type RuleChange } from './rule-book.ts'
import { ruleMarkType } from './rule-marks.ts'

/** The event type of a change to the rules, in the topic of rules. */
export const ruleChangedType = 'millrace.rules.changed'

/** The event type that tells, behind a change in the topic of rules, where its marks are. */
export const ruleMarksType = 'millrace.rules.marks'

/** Where the marks of a change are: an offset for every partition of every topic that there was. */
export type RuleMarks = Readonly<Record<string, readonly Offset[]>>

/** A change that was made, as it is in the log. */
export interface RecordedChange {
  readonly id: string
  readonly timeMs: number
  readonly change: RuleChange
  /** Unknown when the process that made the change ended before it had told. */
  readonly marks: RuleMarks | undefined
}

const readLimits = { records: 1_024, bytes: 4 * 1024 * 1024 } as const

/**
 * All changes to the rules of an application, in order. They are records of one partition of one topic, which every process
 * reads for itself; the marks of a change are appended in the same step as the change.
 */
export class RuleHistory {
  readonly #engine: LogEngine
  readonly #place: Place
  readonly #changes: RecordedChange[] = []
  readonly #indexes = new Map<string, number>()
  #next: Offset | undefined
  #reading: Promise<void> | undefined

  constructor(engine: LogEngine, topic: string) {
    this.#engine = engine
    this.#place = { topic, partition: 0 }
  }

  /** Every change so far, the oldest first, as of the last {@link refresh}. */
  get changes(): readonly RecordedChange[] {
    return this.#changes
  }

  /** The rules after the last change. */
  get book(): RuleBook {
    return applyRuleChanges(
      emptyRuleBook,
      this.#changes.map(({ change }) => change),
    )
  }

  /** The rules after a change; undefined for one that is not known. */
  bookAfter(id: string): RuleBook | undefined {
    const index = this.#indexes.get(id)
    if (index === undefined) return undefined
    return applyRuleChanges(
      emptyRuleBook,
      this.#changes.slice(0, index + 1).map(({ change }) => change),
    )
  }

  /** Reads the changes that have come since. */
  refresh(signal: AbortSignal): Promise<void> {
    this.#reading ??= this.#read(signal).finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { start, end } = await this.#engine.bounds(this.#place)
    let next = this.#next ?? start
    while (next < end) {
      const batch = await this.#engine.read(this.#place, next, readLimits, signal)
      for (const { value, timeMs } of batch.records) this.#take(decodeEvent(value), timeMs)
      next = batch.next
    }
    this.#next = next
  }

  #take({ id, type, data }: Event, timeMs: number): void {
    if (type === ruleChangedType) {
      this.#indexes.set(id, this.#changes.length)
      this.#changes.push({ id, timeMs, change: data as RuleChange, marks: undefined })
      return
    }
    if (type !== ruleMarksType) return
    const { change, marks } = data as RuleMarksData
    const index = this.#indexes.get(change)
    const recorded = index === undefined ? undefined : this.#changes[index]
    if (index !== undefined && recorded !== undefined) this.#changes[index] = { ...recorded, marks }
  }
}

interface RuleMarksData {
  readonly change: string
  readonly marks: RuleMarks
}

/** What a mark is looked for with. */
export interface MarkReader {
  readonly engine: LogEngine
  readonly signal: AbortSignal
}

/**
 * Where the mark of a change is, found by reading on from the time of the change; undefined where there is none. Only for a change
 * whose process ended before it had told.
 */
export async function findMark(
  place: Place,
  change: string,
  timeMs: number,
  { engine, signal }: MarkReader,
): Promise<Offset | undefined> {
  const { end } = await engine.bounds(place)
  for (let next = await engine.offsetAt(place, timeMs); next < end; ) {
    const batch = await engine.read(place, next, readLimits, signal)
    const mark = batch.records.find(({ value }) => {
      const event = decodeEvent(value)
      return event.type === ruleMarkType && event.id === change
    })
    if (mark !== undefined) return mark.offset
    next = batch.next
  }
  return undefined
}

/** What the entries of a change are made with. */
export interface RuleChangeTools {
  readonly runtime: Runtime
  readonly source: string
  readonly rulesTopic: string
  /** The topics that rules hold for. */
  readonly topics: readonly string[]
}

/**
 * Makes a change: one append of the change itself and of a mark in every place, so that it takes effect everywhere or nowhere, and
 * another that tells where the marks are. The topic of rules has marks too, which wake owners that read nothing else. Resolves
 * once the change is durable, with its id.
 */
export async function appendRuleChange(
  engine: LogEngine,
  change: RuleChange,
  { runtime, source, rulesTopic, topics }: RuleChangeTools,
): Promise<string> {
  const id = runtime.id()
  const entry = (at: Place, type: string, data: unknown, eventId = id): Entry => {
    const timeMs = runtime.now()
    const time = new Date(timeMs).toISOString()
    const event: Event = { specversion: '1.0', id: eventId, source, type, time, data }
    return { ...at, value: encodeEvent(event), timeMs }
  }
  const placesOf = (topic: string) => {
    return Array.from({ length: engine.partitions }, (_, partition): Place => ({ topic, partition }))
  }
  const rulesPlace = { topic: rulesTopic, partition: 0 }
  const marked = [rulesTopic, ...topics].flatMap(placesOf)
  const appended = await engine.append([
    entry(rulesPlace, ruleChangedType, change),
    ...marked.map((at) => entry(at, ruleMarkType, { change: id })),
  ])
  const marks: Record<string, Offset[]> = Object.fromEntries(topics.map((topic) => [topic, []]))
  for (const { topic, offset } of appended.slice(1)) marks[topic]?.push(offset)
  await engine.append([entry(rulesPlace, ruleMarksType, { change: id, marks }, runtime.id())])
  return id
}
