import { isMillraceError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine, Offset, Place } from '../log/port.ts'
import type { HandlerFilters } from './handler-filters.ts'
import { Offers } from './offers.ts'
import { LogRecord, type RecordCache } from './record-cache.ts'
import type { RecordSink } from './record-sink.ts'
import type { PartitionRules } from './rules/partition-rules.ts'
import { storedEventOf } from './upcast.ts'
import { Wake } from './wake.ts'

/** What a reader works with. */
export interface ReaderTools {
  readonly engine: LogEngine
  readonly cache: RecordCache
  readonly runtime: Runtime
  readonly logger: Logger
  readonly rules: PartitionRules
  readonly filters: HandlerFilters
  readonly signal: AbortSignal
  /** Something was read: what is observed may be settled now, though nothing is to be committed for it. */
  progressed(): void
}

/** How much one read brings; a drain gets a quarter of it. */
export const readLimits = { records: 512, bytes: 4 * 1024 * 1024 } as const

/** After so many reads in a row other work of the process gets a turn. */
const readsPerTurn = 16

/**
 * Reads one topic and partition for all of its sinks. Sinks that stand at the same place share what is read and parsed;
 * one that lags, or has no room, is served from where it stands without holding up the others.
 */
export class TopicReader {
  readonly place: Place
  readonly #sinks: RecordSink[] = []
  readonly #tools: ReaderTools
  readonly #offers: Offers
  readonly #wake = new Wake()
  #end: Offset
  /** Where the sink stands that is furthest behind. */
  #lowest: Offset = Number.MAX_SAFE_INTEGER
  #turn = 0

  constructor(place: Place, end: Offset, sinks: readonly RecordSink[], tools: ReaderTools) {
    this.place = place
    this.#end = end
    this.#tools = tools
    this.#offers = new Offers(tools.filters)
    for (const sink of sinks) this.add(sink)
  }

  /** Serves one more sink, from where it stands. */
  add(sink: RecordSink): void {
    this.#sinks.push(sink)
    this.#offers.add(sink)
    this.#findLowest()
    this.#wake.notify()
  }

  /** The end of the place as far as this reader knows. */
  get end(): Offset {
    return this.#end
  }

  /** The place has grown. */
  grown(end: Offset): void {
    if (end <= this.#end) return
    this.#end = end
    this.#wake.notify()
  }

  /** A sink may have room again, or reading is to stop. Not to wake for nothing: mostly all has been read. */
  notify(): void {
    if (this.#tools.signal.aborted || this.#lowest < this.#end) this.#wake.notify()
  }

  /** Reads until the signal aborts. */
  async run(): Promise<void> {
    const tail = this.#tools.cache.follow(this.place, this.#lowest)
    try {
      for (let reads = 1; !this.#tools.signal.aborted; reads += 1) {
        const sink = this.#nextSink()
        if (sink === undefined) await this.#wake.wait()
        else {
          await this.#serve(sink.read)
          this.#findLowest()
          tail.passed(this.#lowest)
        }
        this.#tools.progressed()
        if (reads % readsPerTurn === 0) await this.#tools.runtime.sleep(0)
      }
    } finally {
      tail.end()
    }
  }

  /** Sinks go on only in here. */
  #findLowest(): void {
    this.#lowest = Number.MAX_SAFE_INTEGER
    for (const { read } of this.#sinks) if (read < this.#lowest) this.#lowest = read
  }

  /** The next sink in turn that has room and something to read. */
  #nextSink(): RecordSink | undefined {
    for (let tried = 0; tried < this.#sinks.length; tried += 1) {
      this.#turn = (this.#turn + 1) % this.#sinks.length
      const sink = this.#sinks[this.#turn]
      if (sink !== undefined && sink.read < this.#end && sink.hasRoom()) return sink
    }
    return undefined
  }

  async #serve(from: Offset): Promise<void> {
    try {
      const { records, next } = await readRecords(this.#tools, this.place, from, readLimits)
      const taken = this.#tools.rules.take(this.place.topic, records)
      if (taken !== undefined) await taken
      if (!this.#tools.signal.aborted) this.#deliver(records, from, next)
    } catch (error) {
      if (isMillraceError(error, 'RECORD_CORRUPT')) return this.#skipCorrupt(from, error)
      if (isMillraceError(error, 'OFFSET_TRIMMED')) return await this.#skipTrimmed(from)
      throw error
    }
  }

  /** Of many sinks most want nothing of what was read; only those that are offered something are asked for room. */
  #deliver(records: readonly LogRecord[], from: Offset, next: Offset): void {
    const delivery = { from, offered: new Set<RecordSink>(), refused: new Set<RecordSink>() }
    for (const record of records) this.#offer(record, delivery)
    const { offered, refused } = delivery
    for (const sink of this.#sinks) {
      if (sink.read < from || sink.read >= next || refused.has(sink)) continue
      if (sink.isIdle || offered.has(sink) || sink.hasRoom()) sink.advance(next)
    }
    for (const sink of offered) sink.pump()
  }

  #offer(record: LogRecord, delivery: Delivery): void {
    let event: Event
    let isReadable = true
    try {
      event = record.event
    } catch (error) {
      // One of a version that cannot be read here has a type and a key: it waits its turn and fails then.
      const stored = storedEventOf(error)
      if (stored === undefined) {
        for (const sink of this.#sinks)
          if (takes(sink, record, delivery)) sink.unreadable(record.offset, error)
        return
      }
      event = stored
      isReadable = false
    }
    for (const sink of this.#offers.to(event, isReadable))
      if (takes(sink, record, delivery)) sink.offer(record, event)
  }

  #skipCorrupt(from: Offset, error: unknown): void {
    this.#tools.logger.error(
      { err: error, ...this.place, offset: from },
      'a record is damaged and goes to the dead letters',
    )
    for (const sink of this.#sinks.filter((other) => other.read === from)) {
      sink.unreadable(from, error)
      sink.advance(from + 1)
      sink.pump()
    }
  }

  /** Only a log that was told to drop what is unread can come here. */
  async #skipTrimmed(from: Offset): Promise<void> {
    const { start } = await this.#tools.engine.bounds(this.place)
    this.#tools.logger.warn({ ...this.place, from, start }, 'records were dropped before they were handled')
    for (const sink of this.#sinks) if (sink.read < start) sink.advance(start)
  }
}

/** Who takes part in what was read from one offset on. */
interface Delivery {
  readonly from: Offset
  /** Those that had room when they were first offered a record. */
  readonly offered: Set<RecordSink>
  /** Those that had none: they stay where they are. */
  readonly refused: Set<RecordSink>
}

/** Whether a sink stands where it is to take a record, and has room for what comes. */
function takes(sink: RecordSink, record: LogRecord, { from, offered, refused }: Delivery): boolean {
  if (sink.read < from || sink.read > record.offset) return false
  if (offered.has(sink)) return true
  if (refused.has(sink)) return false
  const hasRoom = sink.hasRoom()
  if (hasRoom) offered.add(sink)
  else refused.add(sink)
  return hasRoom
}

/** Reads from the tail cache where it can, else from the engine. */
export async function readRecords(
  tools: Pick<ReaderTools, 'engine' | 'cache' | 'signal'>,
  place: Place,
  from: Offset,
  limits: { readonly records: number; readonly bytes: number },
): Promise<{ readonly records: readonly LogRecord[]; readonly next: Offset }> {
  const cached = tools.cache.read(place, from, limits.records)
  const last = cached.at(-1)
  if (last !== undefined) return { records: cached, next: last.offset + 1 }
  const batch = await tools.engine.read(place, from, limits, tools.signal)
  return {
    records: batch.records.map(
      ({ offset, value }) => new LogRecord(place, offset, value, tools.cache.readEvent),
    ),
    next: batch.next,
  }
}
