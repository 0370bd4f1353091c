import type { AttemptContext } from '../bus/context.ts'
import type { HandlerDefinition, StateCell } from '../bus/definitions.ts'
import type { Door } from '../bus/door.ts'
import { appendsTopic, streamHandler } from '../bus/internal-topics.ts'
import { type CommandType, failed } from '../core/command.ts'
import type { AnyEventType, Event } from '../core/event.ts'
import type { Schema } from '../core/schema.ts'
import type { StreamDefinition } from './stream.ts'

/**
 * What the version of a stream must be for an append to be done: that very number, nothing appended so far (as 0), something
 * appended, or whatever it is.
 */
export type ExpectedVersion = number | 'no-stream' | 'stream-exists' | 'any'

/** An event of an append on its way to the stream's owner, who completes it. */
export interface RequestedEvent {
  readonly type: string
  /** Absent where there are bytes. */
  readonly data?: unknown
  readonly data_base64?: string
  readonly dataversion?: number
  readonly subject?: string
  readonly datacontenttype?: string
}

/** The data of an append. The same again for the same call, so that one that is sent twice is known. */
export interface AppendRequest {
  /** The id of the stream: the key of all its events. */
  readonly stream: string
  readonly expectedVersion: ExpectedVersion
  readonly events: readonly RequestedEvent[]
}

/** How an append was done, as it is stored and told. */
export interface AppendDone {
  /** The version of the stream behind it. */
  readonly version: number
  /** What the ids of its events begin with. */
  readonly id: string
}

/** Why an append was not done, as it is stored and told. */
export interface AppendRefused {
  /** The version that the stream has. */
  readonly version: number
}

/** The command that an append to a stream is. */
export type AppendCommand = CommandType<
  string,
  AppendRequest,
  AppendRequest,
  Schema<AppendDone>,
  Schema<AppendRefused>
>

/** How long the result of an append is kept: longer than any id is remembered, in milliseconds. */
const resultTtlMs = 60 * 60 * 1000
/** The state cell that has the version of a stream. */
export const versionCell = 'version'

/** The command of each stream of an application, in the topic of its appends. */
export function appendCommands(
  app: string,
  streams: readonly StreamDefinition[],
): ReadonlyMap<StreamDefinition, AppendCommand> {
  return new Map(streams.map((stream) => [stream, appendCommand(stream, appendsTopic(app))]))
}

/** The handlers of the appends to streams. */
export function appendHandlers(
  commands: ReadonlyMap<StreamDefinition, AppendCommand>,
  door: Door,
): readonly HandlerDefinition[] {
  return [...commands].map(([stream, command]) => appendHandler(stream, command, door))
}

function appendCommand({ name }: StreamDefinition, topic: string): AppendCommand {
  return Object.freeze({
    type: `millrace.append.${name}`,
    schema: asGiven<AppendRequest>(),
    key: (request: AppendRequest) => request.stream,
    topic,
    version: 1,
    upcast: undefined,
    result: asGiven<AppendDone>(),
    failure: asGiven<AppendRefused>(),
    resultTtlMs,
  })
}

/** The id of the event that stands at an index of an append, counted from 0. */
export function idOfAppended(id: string, index: number): string {
  return `${id}.${index + 1}`
}

/**
 * The handler that appends to a stream: one like any other, in the application's own group, whose key is the stream's id and whose
 * state is its version. So what it checks, the events and the version after them are one step of the stream's owner.
 */
function appendHandler(stream: StreamDefinition, command: AppendCommand, door: Door): HandlerDefinition {
  const [type] = stream.events as readonly [AnyEventType]
  const topic = door.topicOf(type)
  const name = streamHandler(stream.name)
  return Object.freeze({
    name,
    kind: 'on' as const,
    events: [command],
    schedule: undefined,
    options: { name, from: 'start' as const, state: { [versionCell]: versionSchema } },
    async run(given: Event, context: unknown) {
      const ctx = context as AttemptContext
      const cell = ctx.state[versionCell] as StateCell<Schema<number>>
      const { expectedVersion, events } = given.data as AppendRequest
      const version = (await cell.get()) ?? 0
      if (!fits(expectedVersion, version)) return failed({ version })
      for (const [index, event] of events.entries()) {
        const complete = completed(event, given, { index, streamversion: version + index + 1 })
        ctx.append(door.admitEvent(complete, topic, false))
      }
      cell.set(version + events.length)
      return { version: version + events.length, id: given.id }
    },
  })
}

function fits(expected: ExpectedVersion, version: number): boolean {
  if (expected === 'any') return true
  if (expected === 'stream-exists') return version > 0
  return version === (expected === 'no-stream' ? 0 : expected)
}

/** What is told of the append is told of each of its events: whoever appends publishes them. */
function completed(
  { data_base64: base64, ...event }: RequestedEvent,
  append: Event,
  { index, streamversion }: { readonly index: number; readonly streamversion: number },
): Event {
  const { millracereplyto: _replyTo, ...told } = append
  const data = base64 === undefined ? event.data : new Uint8Array(Buffer.from(base64, 'base64'))
  return { ...told, ...event, id: idOfAppended(append.id, index), streamversion, data }
}

/** A schema for what Millrace has put together itself. */
function asGiven<Value>(): Schema<Value> {
  return { '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as Value }) } }
}

const versionSchema = asGiven<number>()
