import { checkAttributes, type Door } from '../bus/door.ts'
import { streamHandler } from '../bus/internal-topics.ts'
import type { OwnerQueries } from '../bus/owner-queries.ts'
import { atIndex } from '../bus/publisher.ts'
import type { RequestOptions, Requests } from '../bus/requests.ts'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import { checkKey } from '../core/event.ts'
import { checkOptionNames, optionNames } from '../core/options.ts'
import { partitionOf } from '../log/partition.ts'
import {
  type AppendCommand,
  type AppendRequest,
  type ExpectedVersion,
  idOfAppended,
  type RequestedEvent,
  versionCell,
} from './append-request.ts'
import type { NewStreamEvent, StreamDefinition } from './stream.ts'

/** The most events of one append. Together they have the bytes of one event at most. */
export const maxAppendedEvents = 500

/** Options of `append`. */
export interface AppendOptions
  extends Pick<
    RequestOptions,
    'id' | 'source' | 'time' | 'correlationid' | 'traceparent' | 'signal' | 'waitTimeoutMs'
  > {
  /**
   * What the version of the stream must be: that very number; `no-stream`, which is 0; `stream-exists`, which is any but 0; or `any`,
   * which it is unless given. Otherwise nothing is appended, and it is `VERSION_CONFLICT`.
   */
  readonly expectedVersion?: ExpectedVersion
}

const appendNames = optionNames<AppendOptions>({
  id: true,
  source: true,
  time: true,
  correlationid: true,
  traceparent: true,
  signal: true,
  waitTimeoutMs: true,
  expectedVersion: true,
})
const eventNames = optionNames<NewStreamEvent>({
  type: true,
  data: true,
  subject: true,
  datacontenttype: true,
})

/** How an append was done. */
export interface AppendResult {
  /** The version of the stream behind it: that of the last of its events. */
  readonly version: number
  /** The ids of its events, in order. */
  readonly ids: readonly string[]
}

/** What {@link Streams} works with. */
export interface StreamTools {
  /** The command of each stream of the application. */
  readonly commands: ReadonlyMap<StreamDefinition, AppendCommand>
  /** Names the application and its group. */
  readonly app: string
  readonly partitions: number
  readonly door: Door
  readonly requests: Requests
  readonly queries: OwnerQueries
}

/** Appends to streams, and asks for their versions, wherever their owners are. */
export class Streams {
  readonly #tools: StreamTools

  constructor(tools: StreamTools) {
    this.#tools = tools
  }

  /** Appends events, all or none; resolves once they are durable. */
  async append(
    stream: StreamDefinition,
    id: string,
    events: readonly NewStreamEvent[],
    options: AppendOptions = {},
  ): Promise<AppendResult> {
    const command = this.#commandOf(stream)
    checkOptionNames('append', options, appendNames)
    checkKey(id, `id of a stream '${stream.name}'`)
    const { expectedVersion = 'any', ...rest } = options
    checkExpected(expectedVersion)
    const request: AppendRequest = {
      stream: id,
      expectedVersion,
      events: await this.#requested(stream, id, events),
    }
    const outcome = await this.#tools.requests.request(command, request, rest).catch((error: unknown) => {
      throw isMillraceError(error, 'WAIT_TIMEOUT') ? undecided(stream, id, error) : error
    })
    if (!outcome.ok) throw conflict(stream, id, expectedVersion, outcome.failure.version)
    const { version, id: first } = outcome.result
    return { version, ids: events.map((_, index) => idOfAppended(first, index)) }
  }

  /** The version of a stream, as it was last committed; 0 where nothing was appended. */
  async version(stream: StreamDefinition, id: string): Promise<number> {
    this.#commandOf(stream)
    checkKey(id, `id of a stream '${stream.name}'`)
    const { app, partitions, queries } = this.#tools
    const [text] = await queries.ask(
      { group: app, partition: partitionOf(id, partitions) },
      { kind: 'cells', handler: streamHandler(stream.name), key: id, cells: [versionCell] },
    )
    return text === null || text === undefined ? 0 : Number(text)
  }

  #commandOf(stream: StreamDefinition): AppendCommand {
    const command = this.#tools.commands.get(stream)
    if (command !== undefined) return command
    if (typeof stream?.name !== 'string' || !Array.isArray(stream.events)) {
      throw new TypeError('the first argument must be a stream made by stream()')
    }
    throw streamUnknown(stream.name, [...this.#tools.commands.keys()])
  }

  async #requested(
    stream: StreamDefinition,
    id: string,
    events: readonly NewStreamEvent[],
  ): Promise<readonly RequestedEvent[]> {
    if (!Array.isArray(events)) throw new TypeError('append: the events must be a list of { type, data }')
    if (events.length === 0 || events.length > maxAppendedEvents) {
      throw invalid(
        `An append has 1 to ${maxAppendedEvents} events; this one has ${events.length}.`,
        'events',
        events.length === 0
          ? 'Append at least one event.'
          : 'Append them in several calls, one behind the other.',
      )
    }
    const requested: RequestedEvent[] = []
    for (const [index, event] of events.entries()) {
      try {
        requested.push(await this.#requestedEvent(stream, id, event))
      } catch (error) {
        throw atIndex(error, index, 'events')
      }
    }
    return requested
  }

  async #requestedEvent(
    stream: StreamDefinition,
    id: string,
    event: NewStreamEvent,
  ): Promise<RequestedEvent> {
    checkOptionNames('append: an event', event, eventNames)
    const { type, data, subject, datacontenttype } = event ?? {}
    if (!stream.events.includes(type)) {
      throw invalid(
        `'${String(type?.type)}' is no event of the stream '${stream.name}'.`,
        'type',
        `Append events of the stream: ${stream.events.map((each) => each.type).join(', ')}.`,
      )
    }
    checkAttributes({ subject, datacontenttype }, type.type)
    const { data: stored, key } = await this.#tools.door.check(type, data, datacontenttype)
    if (key !== undefined && key !== id) {
      throw invalid(
        `The key of '${type.type}' is '${key}', and the id of the stream is '${id}'.`,
        `key of event type '${type.type}'`,
        'Append it to the stream of its key: the events of a stream have its id as their key.',
      )
    }
    return {
      type: type.type,
      ...(stored instanceof Uint8Array
        ? { data_base64: Buffer.from(stored).toString('base64') }
        : { data: stored }),
      ...(type.version === 1 ? {} : { dataversion: type.version }),
      ...(subject === undefined ? {} : { subject }),
      ...(datacontenttype === undefined ? {} : { datacontenttype }),
    }
  }
}

function checkExpected(expected: ExpectedVersion): void {
  if (['no-stream', 'stream-exists', 'any'].includes(expected as string)) return
  if (Number.isSafeInteger(expected) && (expected as number) >= 0) return
  throw invalid(
    `A stream cannot be at version ${String(expected)}.`,
    'expectedVersion',
    "Give a whole number, at least 0, or one of 'no-stream', 'stream-exists' and 'any'.",
  )
}

function invalid(message: string, where: string, fix: string): MillraceError {
  return new MillraceError('APPEND_INVALID', message, { where, fix })
}

function conflict(
  { name }: StreamDefinition,
  id: string,
  expectedVersion: ExpectedVersion,
  version: number,
): MillraceError {
  return new MillraceError(
    'VERSION_CONFLICT',
    `The stream '${name}' of '${id}' is at version ${version}, and ${described(expectedVersion)} was expected.`,
    {
      where: `stream '${name}', id '${id}'`,
      fix: 'Read what the stream is now, decide anew, and append with the version that it has then.',
      facts: { stream: name, id, expectedVersion, version },
    },
  )
}

function undecided({ name }: StreamDefinition, id: string, cause: MillraceError): MillraceError {
  return new MillraceError(
    'WAIT_TIMEOUT',
    `The append to the stream '${name}' of '${id}' was not decided in time.`,
    {
      where: `stream '${name}', id '${id}'`,
      fix: 'It is durable and will be decided. Append it again with the same `id`, and that is answered; without one, the version tells.',
      cause,
      facts: cause.facts,
    },
  )
}

function described(expected: ExpectedVersion): string {
  if (expected === 'stream-exists') return 'a stream that exists'
  return expected === 'no-stream' ? 'none' : String(expected)
}

function streamUnknown(name: string, known: readonly StreamDefinition[]): MillraceError {
  const names = known.map((stream) => stream.name)
  return new MillraceError('STREAM_UNKNOWN', `This application has no stream '${name}'.`, {
    where: `stream '${name}'`,
    fix:
      names.length === 0
        ? 'List it under `streams` of the application.'
        : `Use one that the application lists under \`streams\`: ${names.join(', ')}.`,
  })
}
