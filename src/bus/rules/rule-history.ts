import type { Event } from '../../core/event.ts'
import { decodeEvent } from '../../core/event-codec.ts'
import type { LogEngine, Offset, Place } from '../../log/port.ts'
import { type RuleBook, type RuleChange, RuleVersions } from './rule-book.ts'
import { ruleMarkType } from './rule-marks.ts'

/** The event type of a change to the rules, in the topic of rules. */
export const ruleChangedType = 'millrace.rules.changed'

/** The event type that tells, behind a change in the topic of rules, where its marks are. */
export const ruleMarksType = 'millrace.rules.marks'

/**
 * Where the marks of a change are: an offset for every partition of every topic that it holds in; -1 where retention has trimmed
 * the mark, so that the change holds from the start.
 */
export type RuleMarks = Readonly<Record<string, readonly Offset[]>>

/** A change that was made, as it is in the log. */
export interface RecordedChange {
  readonly id: string
  readonly timeMs: number
  readonly change: RuleChange
  /** The topics that were marked in the same step. */
  readonly topics: readonly string[]
  /** Unknown when the process that made the change ended before it had told. */
  readonly marks: RuleMarks | undefined
}

/** The data of the record of a change. */
export type RecordedRuleChange = RuleChange & { readonly topics: readonly string[] }

/** The data of the record that tells where marks are. */
export interface RuleMarksData {
  readonly change: string
  readonly marks: RuleMarks
}

const readLimits = { records: 1_024, bytes: 4 * 1024 * 1024 } as const
/** How many books are kept made: readers of a log stand at few of them at once. */
const maxBooks = 32

/**
 * All changes to the rules of an application, in order. They are records of one partition of one topic, which every process
 * reads for itself; the marks of a change are appended in the same step as the change.
 */
export class RuleHistory {
  readonly place: Place
  readonly #engine: LogEngine
  readonly #signal: AbortSignal
  readonly #changes: RecordedChange[] = []
  readonly #versions = new RuleVersions()
  readonly #indexes = new Map<string, number>()
  readonly #books = new Map<number, RuleBook>()
  #next: Offset | undefined
  #reading: Promise<void> | undefined

  /** The signal ends reading for all who wait for it, so it is that of the application. */
  constructor(engine: LogEngine, topic: string, signal: AbortSignal) {
    this.#engine = engine
    this.#signal = signal
    this.place = { topic, partition: 0 }
  }

  /** Every change so far, the oldest first, as of the last {@link refresh}. */
  get changes(): readonly RecordedChange[] {
    return this.#changes
  }

  /** The rules after the last change. */
  get book(): RuleBook {
    return this.bookAt(this.#changes.length - 1)
  }

  /** The place of a change among all of them; undefined for one that is not known. */
  indexOf(id: string): number | undefined {
    return this.#indexes.get(id)
  }

  /** The rules after the change of this index; the same object for as long as it is in use. */
  bookAt(index: number): RuleBook {
    const book = this.#books.get(index) ?? this.#versions.bookAt(index)
    // The one that was used last comes last.
    this.#books.delete(index)
    this.#books.set(index, book)
    const [oldest] = this.#books.keys()
    if (this.#books.size > maxBooks && oldest !== undefined) this.#books.delete(oldest)
    return book
  }

  /** Reads the changes that have come since: all that were durable when it was called. */
  async refresh(): Promise<void> {
    // One that is under way may have looked where the log ends before the change was made that is asked for.
    await this.#reading?.catch(() => {})
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    await this.#reading
  }

  async #read(): Promise<void> {
    const { start, end } = await this.#engine.bounds(this.place)
    this.#next ??= start
    while (this.#next < end) {
      const batch = await this.#engine.read(this.place, this.#next, readLimits, this.#signal)
      for (const { value } of batch.records) this.#take(decodeEvent(value))
      this.#next = batch.next
    }
  }

  #take({ id, type, time, data }: Event): void {
    if (type === ruleChangedType && !this.#indexes.has(id)) {
      const { topics, ...change } = data as RecordedRuleChange
      this.#indexes.set(id, this.#changes.length)
      // The time of the record may have been raised above that of its marks.
      this.#changes.push({ id, timeMs: Date.parse(time), change, topics, marks: undefined })
      this.#versions.add(change)
    }
    if (type !== ruleMarksType) return
    const { change, marks } = data as RuleMarksData
    const index = this.#indexes.get(change)
    const recorded = index === undefined ? undefined : this.#changes[index]
    if (index === undefined || recorded === undefined) return
    this.#changes[index] = { ...recorded, marks: earliest(recorded.marks ?? {}, marks) }
  }
}

/** What is told twice of a topic is told of two marks: the first one counts. */
function earliest(known: RuleMarks, told: RuleMarks): RuleMarks {
  const topics = Object.entries(told).map(([topic, offsets]): readonly [string, readonly Offset[]] => {
    const before = known[topic]
    return [topic, offsets.map((offset, partition) => Math.min(offset, before?.[partition] ?? offset))]
  })
  return { ...known, ...Object.fromEntries(topics) }
}

/**
 * Where the mark of a change is, found by reading on from the time of the change; undefined where there is none, or none any
 * more. Only for a change whose process ended before it had told.
 */
export async function findMark(
  place: Place,
  { id, timeMs }: Pick<RecordedChange, 'id' | 'timeMs'>,
  engine: LogEngine,
  signal: AbortSignal,
): Promise<Offset | undefined> {
  const { end } = await engine.bounds(place)
  for (let next = await engine.offsetAt(place, timeMs); next < end; ) {
    const batch = await engine.read(place, next, readLimits, signal)
    const mark = batch.records.find(({ value }) => isMark(value, id))
    if (mark !== undefined) return mark.offset
    next = batch.next
  }
  return undefined
}

function isMark(value: Uint8Array, change: string): boolean {
  try {
    const { type, id } = decodeEvent(value)
    return type === ruleMarkType && id === change
  } catch {
    return false
  }
}
