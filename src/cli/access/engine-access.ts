import type { App } from '../../app/app.ts'
import { type Admitted, Door } from '../../bus/door.ts'
import { ingestProgressedType, ingestTopic, internalTopics } from '../../bus/internal-topics.ts'
import { Publisher } from '../../bus/publisher.ts'
import { RecordCache } from '../../bus/record-cache.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { decodeEvent } from '../../core/event-codec.ts'
import type { Runtime } from '../../core/runtime.ts'
import { dataOfType } from '../../core/xml-text.ts'
import type { LogEngine } from '../../log/port.ts'
import { followEngine } from './engine-follow.ts'
import type { LogAccess, RecordPage, TopicView } from './port.ts'

/** What reaches a log that this process has opened. */
export interface EngineAccessOptions {
  readonly engine: LogEngine
  readonly runtime: Runtime
  /** The log's URL. */
  readonly location: string
  /** The application whose schemas, keys and topics hold; without it events are stored as they come. */
  readonly app: App | undefined
  /** Whether a topic that is missing is created by the first append to it. */
  readonly createTopic: boolean
}

const readBytes = 4 * 1024 * 1024

/** Reaches a log through an engine that this process has opened; closing the access closes the engine. */
export function engineAccess(options: EngineAccessOptions): LogAccess {
  const { engine } = options
  return {
    location: options.location,
    running: false,
    append: options.app === undefined ? appendAsTheyCome(options) : appendAsDeclared(options, options.app),
    read: (at, from, limit) => read(engine, at, from, limit),
    follow: (request) => followEngine(engine, request),
    topics: () => topicsOf(engine),
    handlers: async () => undefined,
    backup: (folder) => backup(options, folder),
    close: () => engine.close(),
  }
}

async function backup({ engine, location }: EngineAccessOptions, folder: string): Promise<void> {
  if (engine.backup === undefined) {
    throw new MillraceError('COMMAND_INVALID', 'The log has no folder that could be copied.', {
      where: location,
      fix: 'Use the tools of its servers for backups.',
    })
  }
  await engine.backup(folder)
}

type Append = LogAccess['append']

function doorOf({ engine, runtime }: EngineAccessOptions, app: App | undefined): Door {
  return new Door({
    runtime,
    partitions: engine.partitions,
    source: app?.name ?? 'millrace',
    topic: app?.name ?? 'millrace',
    maxEventBytes: app?.maxEventBytes,
    streams: app?.streams ?? [],
  })
}

function appendAsDeclared(options: EngineAccessOptions, app: App): Append {
  const { engine, runtime } = options
  const door = doorOf(options, app)
  const ensured = new Set<string>()
  const ensureTopic = async (name: string) => {
    if (ensured.has(name)) return
    const retention = app.topics[name]?.retention
    await engine.createTopic(name, retention === undefined ? {} : { retention })
    ensured.add(name)
  }
  const publisher = new Publisher({
    engine,
    runtime,
    door,
    cache: new RecordCache(decodeEvent, 0),
    events: app.events,
    delayedTopic: internalTopics(app.name).delayed,
    ensureTopic,
  })
  return async (events, topic) => {
    if (topic !== undefined && options.createTopic) await ensureTopic(topic)
    for (const { type } of events) {
      const declared = app.events.get(type)
      if (topic === undefined && declared !== undefined) await ensureTopic(door.topicOf(declared))
    }
    return publisher.accept(events, topic)
  }
}

function appendAsTheyCome(options: EngineAccessOptions): Append {
  const { engine } = options
  const door = doorOf(options, undefined)
  return async (events, topic) => {
    const own = await topicFor(options, topic)
    const admitted: Admitted[] = []
    for (const [index, given] of events.entries()) {
      try {
        const event = { ...given, data: dataOfType(given.data, given.datacontenttype) }
        admitted.push(door.admitEvent(event, event.type === ingestProgressedType ? ingestTopic : own, true))
      } catch (error) {
        throw withIndex(error, index)
      }
    }
    if (events.some(({ type }) => type === ingestProgressedType)) await engine.createTopic(ingestTopic, {})
    return engine.append(admitted.map(({ entry }) => entry))
  }
}

async function topicFor({ engine, createTopic }: EngineAccessOptions, topic: string | undefined) {
  const names = (await engine.listTopics()).map(({ name }) => name)
  if (topic !== undefined && names.includes(topic)) return topic
  if (topic !== undefined && createTopic) {
    await engine.createTopic(topic, {})
    return topic
  }
  const listed = names.filter((name) => !name.startsWith('millrace.')).join(', ')
  throw new MillraceError(
    'TOPIC_UNKNOWN',
    topic === undefined ? 'No topic was named for the events.' : `There is no topic '${topic}'.`,
    {
      where: '--topic',
      fix: `Name ${listed === '' ? 'one with --topic' : `one of ${listed}`}, add --create-topic, or name the application with --app.`,
    },
  )
}

function withIndex(error: unknown, index: number): unknown {
  if (!(error instanceof MillraceError)) return error
  const { code, message, where, fix, facts } = error
  return new MillraceError(code, message, { where, fix, cause: error, facts: { ...facts, index } })
}

async function read(
  engine: LogEngine,
  at: { readonly topic: string; readonly partition: number },
  from: number | Date,
  limit: number,
): Promise<RecordPage> {
  const offset = from instanceof Date ? await engine.offsetAt(at, from.getTime()) : from
  const batch = await engine.read(at, offset, { records: limit, bytes: readBytes })
  const records = batch.records.map((record) => ({
    topic: at.topic,
    partition: at.partition,
    offset: record.offset,
    event: decodeEvent(record.value) as Event,
  }))
  return { records, next: batch.next }
}

async function topicsOf(engine: LogEngine): Promise<readonly TopicView[]> {
  const numbers = Array.from({ length: engine.partitions }, (_, partition) => partition)
  const views: TopicView[] = []
  for (const { name } of await engine.listTopics()) {
    const partitions = await Promise.all(
      numbers.map(async (partition) => ({ partition, ...(await engine.bounds({ topic: name, partition })) })),
    )
    views.push({ name, partitions })
  }
  return views
}
