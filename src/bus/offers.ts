import type { Event } from '../core/event.ts'
import type { HandlerFilters } from './handler-filters.ts'
import type { RecordSink } from './record-sink.ts'

/** The sinks that are offered events of one type. */
interface Takers {
  readonly everyEvent: RecordSink[]
  /** By the name of the handler whose filter must match first. */
  readonly filtered: Map<string, RecordSink[]>
}

const nobody: readonly RecordSink[] = []

/**
 * Which sinks of a reader an event is offered to. Where a filter decides, the index over all filters is asked once and only what
 * it found is looked at, so a handler that does not want an event costs nothing.
 */
export class Offers {
  readonly #filters: HandlerFilters
  readonly #byType = new Map<string, Takers>()

  constructor(filters: HandlerFilters) {
    this.#filters = filters
  }

  add(sink: RecordSink): void {
    for (const type of sink.types) {
      const takers = this.#byType.get(type) ?? { everyEvent: [], filtered: new Map<string, RecordSink[]>() }
      this.#byType.set(type, takers)
      const { handler } = sink
      if (handler === undefined || !this.#filters.has(handler)) takers.everyEvent.push(sink)
      else takers.filtered.set(handler, [...(takers.filtered.get(handler) ?? []), sink])
    }
  }

  /**
   * The sinks that may want the event. What cannot be read fails in its turn, so no filter is asked about it; and where a publisher
   * waits, each handler answers, also the one that passes the event over.
   */
  to(event: Event, isReadable: boolean): readonly RecordSink[] {
    const takers = this.#byType.get(event.type)
    if (takers === undefined) return nobody
    const { everyEvent, filtered } = takers
    if (filtered.size === 0) return everyEvent
    const isWaitedFor = event.millracereplyto !== undefined
    const matched = isReadable && !isWaitedFor ? this.#filters.matched(event) : undefined
    const found = [...everyEvent]
    for (const name of matched ?? filtered.keys()) found.push(...(filtered.get(name) ?? nobody))
    return found
  }
}
