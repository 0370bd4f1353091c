import { isInternalTopic } from '../../bus/internal-topics.ts'
import { isMillraceError, MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { decodeEvent } from '../../core/event-codec.ts'
import type { LogEngine, Offset, Place } from '../../log/port.ts'
import { formatPosition, maxPlaces, parsePosition, positionInvalid } from './position.ts'

/** What is followed. */
export interface FollowOptions {
  readonly engine: LogEngine
  /** These topics, internal ones too; all of the user unless given, also those that are created meanwhile. */
  readonly topics?: readonly string[] | undefined
  /** Where to begin, as {@link Follower.position} gave it; with what comes next unless given. */
  readonly after?: string | undefined
}

interface Step {
  readonly at: Place
  /** Where to read on behind it. */
  readonly next: Offset
}

/** A record of a followed topic. */
export interface FollowedRecord extends Step {
  readonly offset: Offset
  readonly event: Event
}

/** Records that cannot be given, because they were trimmed or cannot be read. `error.facts` has their place. */
export interface SkippedRecords extends Step {
  readonly error: MillraceError
}

/** What following gives: see {@link Follower.steps}. */
export type FollowStep = FollowedRecord | SkippedRecords

const limits = { records: 100, bytes: 1024 * 1024 } as const

/**
 * Follows topics of a log from a position on, each partition in its order, as records become durable. It waits for the
 * engine's news, and what has not been taken yet waits in the log.
 */
export class Follower {
  readonly #engine: LogEngine
  readonly #named: readonly string[] | undefined
  readonly #position = new Map<string, Offset[]>()
  #waiting: AbortController | undefined

  private constructor({ engine, topics }: FollowOptions) {
    this.#engine = engine
    this.#named = topics
  }

  /**
   * Begins. `TOPIC_UNKNOWN` for a named topic that is not there, `REQUEST_INVALID` for a position that this log cannot
   * have given and where there are more places than a position can have.
   */
  static async begin(options: FollowOptions): Promise<Follower> {
    const follower = new Follower(options)
    const { after } = options
    const known = after === undefined ? undefined : parsePosition(after)
    for (const topic of await follower.#topicsThere()) {
      const bounds = await follower.#bounds(topic)
      const offsets = known === undefined ? bounds.map(({ end }) => end) : known.get(topic)
      const possible = offsets === undefined || isWithin(offsets, bounds)
      if (!possible) throw positionInvalid(after ?? '')
      // A topic that the position does not know was created after it was given.
      follower.#position.set(topic, [...(offsets ?? bounds.map(({ start }) => start))])
    }
    if (follower.#position.size * options.engine.partitions > maxPlaces) throw tooMany()
    return follower
  }

  get topics(): readonly string[] {
    return [...this.#position.keys()]
  }

  /** Behind everything that was {@link pass}ed: following from here gives what comes next. */
  get position(): string {
    return formatPosition(this.#position)
  }

  /** Takes note that a step has reached whom it is for. */
  pass({ at, next }: Step): void {
    const offsets = this.#position.get(at.topic)
    if (offsets !== undefined) offsets[at.partition] = next
  }

  /**
   * Gives step after step, for ever. Whoever takes one must {@link pass} it before asking for the next. Rejects with the
   * signal's reason, with `TOPIC_UNKNOWN` when a named topic is deleted, and with `LOG_CLOSED` when the engine closes.
   */
  async *steps(signal: AbortSignal): AsyncGenerator<FollowStep> {
    for (;;) {
      await this.lookForTopics()
      for (const at of await this.#news(signal)) yield* this.#read(at, signal)
    }
  }

  /** Takes up topics that were created and lets go of those that were deleted, which the engine gives no news of. */
  async lookForTopics(): Promise<void> {
    const there = await this.#topicsThere()
    let changed = false
    for (const topic of this.#position.keys()) {
      if (!there.includes(topic)) changed = this.#position.delete(topic)
    }
    for (const topic of there) {
      if (this.#position.has(topic) || this.#isFull()) continue
      const offsets = (await this.#bounds(topic)).map(({ start }) => start)
      if (this.#position.has(topic)) continue
      this.#position.set(topic, offsets)
      changed = true
    }
    if (changed) this.#waiting?.abort(again)
  }

  async #topicsThere(): Promise<readonly string[]> {
    const names = (await this.#engine.listTopics()).map(({ name }) => name)
    const missing = this.#named?.find((name) => !names.includes(name))
    if (missing !== undefined) throw topicUnknown(missing, names)
    return this.#named ?? names.filter((name) => !isInternalTopic(name))
  }

  #bounds(topic: string) {
    const partitions = Array.from({ length: this.#engine.partitions }, (_, partition) => partition)
    return Promise.all(partitions.map((partition) => this.#engine.bounds({ topic, partition })))
  }

  #isFull(): boolean {
    return (this.#position.size + 1) * this.#engine.partitions > maxPlaces
  }

  /** The places with something to read, once there are any; none when the topics are no longer the same. */
  async #news(signal: AbortSignal): Promise<readonly Place[]> {
    const waiting = new AbortController()
    const stop = () => waiting.abort(signal.reason)
    signal.throwIfAborted()
    signal.addEventListener('abort', stop, { once: true })
    this.#waiting = waiting
    const known = new Map<Place, Offset>()
    for (const [topic, offsets] of this.#position) {
      for (const [partition, offset] of offsets.entries()) known.set({ topic, partition }, offset)
    }
    try {
      return await this.#engine.changed(known, waiting.signal)
    } catch (error) {
      // Looking for topics tells a deleted one that was named from one that can be let go.
      if (error === again || isMillraceError(error, 'TOPIC_UNKNOWN')) return []
      throw error
    } finally {
      this.#waiting = undefined
      signal.removeEventListener('abort', stop)
    }
  }

  /** What one read gives. More of the same place waits until the others have had their turn. */
  async *#read(at: Place, signal: AbortSignal): AsyncGenerator<FollowStep> {
    const from = this.#position.get(at.topic)?.[at.partition] ?? 0
    try {
      const batch = await this.#engine.read(at, from, limits, signal)
      for (const { offset, value } of batch.records) yield decoded(at, offset, value)
      this.pass({ at, next: batch.next })
    } catch (error) {
      if (isMillraceError(error, 'TOPIC_UNKNOWN')) return
      if (isMillraceError(error, 'OFFSET_TRIMMED')) {
        yield skipped(at, from, (await this.#engine.bounds(at)).start, error)
      } else if (isMillraceError(error, 'RECORD_CORRUPT')) {
        const offset = typeof error.facts.offset === 'number' ? error.facts.offset : from
        yield skipped(at, offset, offset + 1, error)
      } else {
        throw error
      }
    }
  }
}

const again = new Error('The topics are no longer the same.')

function decoded(at: Place, offset: Offset, value: Uint8Array): FollowStep {
  try {
    return { at, offset, next: offset + 1, event: decodeEvent(value) }
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    return skipped(at, offset, offset + 1, error)
  }
}

function skipped(at: Place, from: Offset, next: Offset, error: MillraceError): SkippedRecords {
  const { topic, partition } = at
  const told = new MillraceError(error.code, error.message, {
    where: `${topic}/${partition} at ${from}`,
    fix: `Nothing: it goes on at ${next}.`,
    facts: { topic, partition, offset: from, next },
    cause: error,
  })
  return { at, next, error: told }
}

function isWithin(offsets: readonly Offset[], bounds: readonly { readonly end: Offset }[]): boolean {
  return (
    offsets.length === bounds.length && offsets.every((offset, index) => offset <= (bounds[index]?.end ?? 0))
  )
}

function topicUnknown(missing: string, names: readonly string[]): MillraceError {
  return new MillraceError('TOPIC_UNKNOWN', `There is no topic '${missing}'.`, {
    where: 'query topic',
    fix: `Use one of: ${names.join(', ')}.`,
  })
}

function tooMany(): MillraceError {
  return new MillraceError('REQUEST_INVALID', `More than ${maxPlaces} places cannot be followed at once.`, {
    where: 'query topic',
    fix: 'Name some of the topics with topic=, such as topic=orders,payments.',
  })
}
