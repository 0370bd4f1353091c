import { isMillraceError } from '../core/errors.ts'
import type { AnyEventType, Event } from '../core/event.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { Appended, Entry, Offset } from '../log/port.ts'
import { isInternalTopic } from './internal-topics.ts'
import type { EventReader } from './upcast.ts'

/** Where an observed event is in the log. */
export interface ObservedPlace {
  readonly topic: string
  readonly partition: number
  readonly offset: Offset
}

/**
 * Is told of events on a best-effort basis: what it misses, or fails at, is gone. What must happen belongs in a handler.
 * What it throws, and what its promise rejects with, is logged and counted.
 */
export type BestEffortObserver<E = Event> = (event: E, at: ObservedPlace) => unknown

/** Options of `watch`. */
export interface WatchOptions {
  /** How many events may wait for the observer; beyond it further ones are dropped. 1,000 unless given. */
  readonly maxWaiting?: number
  /** Stops the watch when it aborts. */
  readonly signal?: AbortSignal
}

const names = optionNames<WatchOptions>({ maxWaiting: true, signal: true })

/** What a watch has come to since it began. */
export interface WatchCounts {
  /** Events that the observer was given. */
  readonly observed: number
  /** Events that it was not given, because too many waited. */
  readonly dropped: number
  /** Events that it failed at. */
  readonly failed: number
}

/** An observer at work. */
export interface BestEffortWatch extends Disposable {
  readonly counts: WatchCounts
  /** Ends it: what waits for the observer is dropped, uncounted. Stopping twice is fine. */
  stop(): void
}

const defaultMaxWaiting = 1_000

/** What observers work with. */
export interface ObserverTools {
  readonly runtime: Pick<Runtime, 'spawn'>
  readonly logger: Logger
  readonly readEvent: EventReader
}

/** The observers of one process. Nothing of them is kept, and nothing waits for them. */
export class Observers {
  readonly #tools: ObserverTools
  readonly #watches = new Set<Watch>()

  constructor(tools: ObserverTools) {
    this.#tools = tools
  }

  /** Begins to tell an observer of what {@link appended} is called with. Throws `TypeError` for what cannot work. */
  watch(
    types: AnyEventType | readonly AnyEventType[],
    observer: BestEffortObserver,
    options: WatchOptions = {},
  ): BestEffortWatch {
    const watch = new Watch(typeNames(types), observer, checked(observer, options), this.#tools, () => {
      this.#watches.delete(watch)
    })
    if (options.signal?.aborted) return watch
    this.#watches.add(watch)
    options.signal?.addEventListener('abort', () => watch.stop(), { once: true })
    return watch
  }

  /** This process has appended something that is durable now. */
  appended(entries: readonly Entry[], places: readonly Appended[]): void {
    if (this.#watches.size === 0) return
    for (const [index, entry] of entries.entries()) {
      const place = places[index]
      if (place === undefined || place.duplicate || isInternalTopic(entry.topic)) continue
      const event = this.#read(entry)
      if (event === undefined) continue
      const { topic, partition, offset } = place
      for (const watch of this.#watches) watch.offer(event, { topic, partition, offset })
    }
  }

  /** Stops all of them. */
  stop(): void {
    for (const watch of [...this.#watches]) watch.stop()
  }

  /** Undefined for what a newer version has written, or what its schema refuses now: handlers tell of it. */
  #read({ value }: Entry): Event | undefined {
    try {
      return this.#tools.readEvent(value)
    } catch (error) {
      if (isMillraceError(error, 'EVENT_UNREADABLE')) return undefined
      throw error
    }
  }
}

/** One observer: it is told of one event at a time, in the order of the appends. */
class Watch implements BestEffortWatch {
  readonly counts = { observed: 0, dropped: 0, failed: 0 }
  readonly #types: ReadonlySet<string>
  readonly #observer: BestEffortObserver
  readonly #maxWaiting: number
  readonly #tools: ObserverTools
  readonly #ended: () => void
  #waiting: { readonly event: Event; readonly at: ObservedPlace }[] = []
  #running = false
  #stopped = false

  constructor(
    types: ReadonlySet<string>,
    observer: BestEffortObserver,
    maxWaiting: number,
    tools: ObserverTools,
    ended: () => void,
  ) {
    this.#types = types
    this.#observer = observer
    this.#maxWaiting = maxWaiting
    this.#tools = tools
    this.#ended = ended
  }

  offer(event: Event, at: ObservedPlace): void {
    if (!this.#types.has(event.type)) return
    if (this.#waiting.length >= this.#maxWaiting) {
      this.counts.dropped += 1
      this.#tell(
        this.counts.dropped,
        { dropped: this.counts.dropped },
        'an observer is too slow: events are dropped',
      )
      return
    }
    this.#waiting.push({ event, at })
    if (this.#running) return
    this.#running = true
    this.#tools.runtime.spawn('observer', () => this.#run())
  }

  stop(): void {
    this.#stopped = true
    this.#waiting = []
    this.#ended()
  }

  [Symbol.dispose](): void {
    this.stop()
  }

  async #run(): Promise<void> {
    // Whoever appended goes on first.
    await Promise.resolve()
    for (
      let next = this.#waiting.shift();
      next !== undefined && !this.#stopped;
      next = this.#waiting.shift()
    ) {
      this.counts.observed += 1
      try {
        await this.#observer(next.event, next.at)
      } catch (err) {
        this.counts.failed += 1
        const { id, type } = next.event
        this.#tell(this.counts.failed, { err, id, type, failed: this.counts.failed }, 'an observer failed')
      }
    }
    this.#running = false
  }

  /** Logs the first, the tenth, the hundredth: an observer that fails must not fill the log. */
  #tell(count: number, facts: object, message: string): void {
    if (/^10*$/.test(String(count))) this.#tools.logger.warn(facts, message)
  }
}

function typeNames(types: AnyEventType | readonly AnyEventType[]): ReadonlySet<string> {
  const listed = (Array.isArray(types) ? types : [types]) as readonly AnyEventType[]
  if (listed.length === 0 || listed.some((type) => typeof type?.type !== 'string')) {
    throw new TypeError('watch: the first argument must be one or more event types made by event()')
  }
  return new Set(listed.map(({ type }) => type))
}

function checked(observer: unknown, options: WatchOptions): number {
  if (typeof observer !== 'function') throw new TypeError('watch: the second argument must be a function')
  checkOptionNames('watch', options, names)
  const { maxWaiting = defaultMaxWaiting } = options
  if (Number.isSafeInteger(maxWaiting) && maxWaiting >= 1) return maxWaiting
  throw new TypeError("watch: 'maxWaiting' must be a whole number, at least 1")
}
