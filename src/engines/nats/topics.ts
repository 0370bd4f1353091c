import { isDeepStrictEqual } from 'node:util'
import { MillraceError } from '../../core/errors.ts'
import { topicUnknown } from '../../log/failures.ts'
import type { Topic, TopicOptions } from '../../log/port.ts'
import type { Connection } from './connection.ts'
import { isRefusal, refusals } from './failures.ts'
import type { Names, TopicName } from './names.ts'

/** What of a topic was moved here from another log. */
export interface MovedPart {
  /** Up to this sequence messages say their offsets themselves; null while more are brought in. */
  readonly through: number | null
  /** By so many messages the offsets behind that are ahead of their sequences. */
  readonly shift: number
}

/** A topic and the stream that holds it. */
export interface KnownTopic extends TopicName {
  readonly stream: string
  readonly options: TopicOptions
  /** Absent where nothing was moved here. */
  readonly moved?: MovedPart
}

/** What streams of a log are made with. */
export interface StreamShape {
  readonly replicas: number
  readonly deduplicationWindowMs: number
  readonly maxBytes: number | undefined
}

/** A stream's configuration, as far as it is written and looked at here. */
export interface StreamConfiguration {
  readonly name: string
  readonly subjects: readonly string[]
  readonly description?: string
  readonly num_replicas: number
  readonly max_bytes?: number
  readonly duplicate_window?: number
  readonly [option: string]: unknown
}

/** A stream as the servers tell of it. */
export interface StreamInfo {
  readonly config: StreamConfiguration
  readonly state: { readonly messages: number; readonly bytes: number; readonly last_seq: number }
}

const nanoseconds = 1_000_000
const timesAsked = 3
const askAgainMs = 100

/** The topics of a log, as this process knows them. Another process may have changed them since. */
export class Topics {
  readonly #connection: Connection
  readonly #names: Names
  readonly #shape: StreamShape
  readonly #known = new Map<string, KnownTopic>()
  readonly #finding = new Map<string, Promise<KnownTopic | undefined>>()
  readonly #gone: (topic: KnownTopic) => void

  constructor(connection: Connection, names: Names, shape: StreamShape, gone: (topic: KnownTopic) => void) {
    this.#connection = connection
    this.#names = names
    this.#shape = shape
    this.#gone = gone
  }

  /** The topic of a name. `TOPIC_UNKNOWN` where there is none. Who asks for one at the same time is answered in order. */
  async get(name: string): Promise<KnownTopic> {
    const known = this.#known.get(name)
    if (known !== undefined) return known
    let finding = this.#finding.get(name)
    if (finding === undefined) {
      finding = this.#find(name).finally(() => this.#finding.delete(name))
      this.#finding.set(name, finding)
    }
    return (await finding) ?? unknown(name)
  }

  /** As {@link get}, without asking the servers. */
  peek(name: string): KnownTopic | undefined {
    return this.#known.get(name)
  }

  /** Throws `TOPIC_UNKNOWN` when a topic that was known is no longer there. */
  async check({ topic, id }: KnownTopic): Promise<void> {
    const now = await this.#find(topic)
    if (now?.id !== id) unknown(topic)
  }

  async create(name: string, options: TopicOptions, moved?: MovedPart): Promise<void> {
    for (;;) {
      const found = await this.#find(name)
      if (found !== undefined) {
        if (isDeepStrictEqual(plain(found.options), plain(options))) return
        throw new MillraceError('TOPIC_CONFLICT', `Topic '${name}' exists with other options.`, {
          where: name,
          fix: 'Use the options that it was created with, or another name.',
          facts: { topic: name, options: found.options },
        })
      }
      const id = this.#connection.runtime.id().replaceAll('-', '').slice(-12)
      try {
        const { config } = await this.#connection.call<StreamInfo>(
          `STREAM.CREATE.${this.#names.stream({ topic: name, id })}`,
          this.#configuration({ topic: name, id }, options, moved),
        )
        this.#remember(config)
        return
      } catch (error) {
        // Somebody else was quicker, or an earlier answer was lost.
        const isThere = isRefusal(error, refusals.subjectsOverlap) || isRefusal(error, refusals.streamExists)
        if (!isThere) throw error
      }
    }
  }

  /** Notes what of a topic was moved here. */
  async setMoved(name: string, moved: MovedPart): Promise<void> {
    const known = (await this.#find(name)) ?? unknown(name)
    const { config } = await this.#connection.call<StreamInfo>(`STREAM.INFO.${known.stream}`)
    const description = describe(known, known.options, moved)
    await this.#connection.call(`STREAM.UPDATE.${known.stream}`, { ...config, description })
    this.#known.delete(name)
    await this.#find(name)
  }

  async delete(name: string): Promise<KnownTopic> {
    const topic = (await this.#find(name)) ?? unknown(name)
    try {
      await this.#connection.call(`STREAM.DELETE.${topic.stream}`)
    } catch (error) {
      if (!isRefusal(error, refusals.streamUnknown)) throw error
    }
    this.#forget(topic)
    return topic
  }

  async list(): Promise<readonly Topic[]> {
    const topics = await this.load()
    return topics
      .map(({ topic, options }) => ({ name: topic, options: plain(options) }))
      .sort((left, right) => (left.name < right.name ? -1 : 1))
  }

  /** All topics, as the servers know them now. */
  async load(): Promise<readonly KnownTopic[]> {
    const infos = await this.#streamsOf(this.#names.topics)
    const topics = infos.flatMap(({ config }) => this.#remember(config) ?? [])
    const missing = [...this.#known.values()].filter(({ id }) => !topics.some((topic) => topic.id === id))
    await Promise.all(
      missing.map(async (known) => {
        if (await this.#isGone(known)) this.#forget(known)
        else topics.push(known)
      }),
    )
    return topics
  }

  async #find(name: string): Promise<KnownTopic | undefined> {
    const known = this.#known.get(name)
    const [info] = await this.#streamsOf(this.#names.topic(name))
    const found = info === undefined ? undefined : this.#remember(info.config)
    if (known !== undefined && found?.id !== known.id) {
      if (found === undefined && !(await this.#isGone(known))) return known
      this.#forget(known)
    }
    if (info === undefined || found === undefined) return undefined
    this.#known.set(name, found)
    await this.#fit(info.config)
    return found
  }

  /** The streams that take messages of a subject. A list of them with what they are would leave out those without a leader. */
  async #streamsOf(subject: string): Promise<StreamInfo[]> {
    const names: string[] = []
    for (;;) {
      const page = await this.#connection.call<StreamNames>('STREAM.NAMES', { subject, offset: names.length })
      names.push(...(page.streams ?? []))
      if (names.length >= page.total || (page.streams ?? []).length === 0) break
    }
    const infos = await Promise.all(
      names.map(async (name) => {
        try {
          return await this.#connection.call<StreamInfo>(`STREAM.INFO.${name}`)
        } catch (error) {
          if (isRefusal(error, refusals.streamUnknown)) return undefined
          throw error
        }
      }),
    )
    return infos.filter((info) => info !== undefined)
  }

  /**
   * Whether a topic that was there is not any more. A server that has just come to lead the others may know of no stream for a
   * moment, so more than one answer is asked for.
   */
  async #isGone({ stream }: KnownTopic): Promise<boolean> {
    for (let asked = 0; asked < timesAsked; asked += 1) {
      if (asked > 0) await this.#connection.runtime.sleep(askAgainMs)
      try {
        await this.#connection.call(`STREAM.INFO.${stream}`)
        return false
      } catch (error) {
        if (!isRefusal(error, refusals.streamUnknown)) throw error
      }
    }
    return true
  }

  /** Gives a stream the bound and the window that this process was opened with. */
  async #fit(config: StreamConfiguration): Promise<void> {
    const { maxBytes = config.max_bytes, deduplicationWindowMs } = this.#shape
    const window = Math.max(deduplicationWindowMs * nanoseconds, config.duplicate_window ?? 0)
    if (config.max_bytes === maxBytes && config.duplicate_window === window) return
    const wanted = { ...config, max_bytes: maxBytes, duplicate_window: window }
    await this.#connection.call(`STREAM.UPDATE.${config.name}`, wanted)
  }

  #remember({ name, description }: StreamConfiguration): KnownTopic | undefined {
    const { topic, id, options, moved } = JSON.parse(description ?? '{}') as Partial<KnownTopic>
    if (topic === undefined || id === undefined || options === undefined) return undefined
    const found = { topic, id, options, stream: name, ...(moved === undefined ? {} : { moved }) }
    if (this.#known.get(topic)?.id !== id) this.#known.set(topic, found)
    return found
  }

  #forget(topic: KnownTopic): void {
    if (this.#known.get(topic.topic)?.id === topic.id) this.#known.delete(topic.topic)
    this.#gone(topic)
  }

  #configuration(name: TopicName, options: TopicOptions, moved?: MovedPart): StreamConfiguration {
    const { replicas, deduplicationWindowMs, maxBytes } = this.#shape
    return {
      name: this.#names.stream(name),
      subjects: [this.#names.topic(name.topic), this.#names.records(name)],
      description: describe(name, options, moved),
      storage: 'file',
      retention: 'limits',
      discard: 'new',
      num_replicas: replicas,
      max_bytes: maxBytes ?? -1,
      duplicate_window: deduplicationWindowMs * nanoseconds,
      ...(this.#connection.isAtLeast(2, 10) ? { compression: 's2' } : {}),
    }
  }
}

function describe({ topic, id }: TopicName, options: TopicOptions, moved: MovedPart | undefined): string {
  return JSON.stringify({ millrace: 1, topic, id, options: plain(options), moved })
}

interface StreamNames {
  readonly total: number
  readonly streams?: readonly string[] | null
}

function unknown(name: string): never {
  throw topicUnknown(name)
}

/** Options without what is undefined, so that equal ones are equal. */
function plain(options: TopicOptions): TopicOptions {
  return JSON.parse(JSON.stringify(options)) as TopicOptions
}
