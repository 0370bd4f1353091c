import type { FastifyRequest } from 'fastify'
import type { RunningApp } from '../app/running.ts'
import type { ExpectedVersion } from '../eventstore/append-request.ts'
import type { NewStreamEvent, StreamDefinition } from '../eventstore/stream.ts'
import { bodyInvalid, jsonBody, textMember } from './json-body.ts'
import { parameters, required } from './parameters.ts'

const optional = { appendId: 'id', source: 'source', correlationid: 'correlationid' } as const
const eventMembers = ['type', 'data', 'subject', 'datacontenttype']

/** `GET /streams/version?stream&id`: the version of a stream, 0 where nothing was appended. */
export async function giveStreamVersion(running: RunningApp, request: FastifyRequest) {
  const { stream, id } = parameters(request.query, ['stream', 'id'])
  const named = streamOf(running, required(stream, 'stream'))
  return { version: await running.streamVersion(named, required(id, 'id')) }
}

/**
 * `POST /streams/append`: appends `events` to the stream `id` of `stream`, if it has the `expectedVersion`; `appendId` makes that
 * idempotent. 200 with `{ version, ids }`, 409 `VERSION_CONFLICT` with the version that it has.
 */
export function appendToStream(running: RunningApp, request: FastifyRequest) {
  const body = jsonBody(request, ['stream', 'id', 'events', 'expectedVersion', ...Object.keys(optional)])
  const id = textMember(body, 'id')
  if (id === undefined) throw bodyInvalid('Which stream is meant must be said.', 'id', 'the id of a stream')
  const { events } = body
  if (!Array.isArray(events)) throw bodyInvalid('There are no events.', 'events', 'a list of events')
  const options: Record<string, unknown> = {}
  if (body.expectedVersion !== undefined) options.expectedVersion = body.expectedVersion as ExpectedVersion
  for (const [member, option] of Object.entries(optional)) {
    const value = textMember(body, member)
    if (value !== undefined) options[option] = value
  }
  const given = events.map((event, index) => eventOf(running, event, `events[${index}]`))
  return running.append(streamOf(running, textMember(body, 'stream')), id, given, options)
}

/** One that is not known is refused by `append`, which says which there are. */
function streamOf({ app }: RunningApp, name = ''): StreamDefinition {
  return app.streams.find((stream) => stream.name === name) ?? { name, events: [] }
}

function eventOf({ app }: RunningApp, event: unknown, where: string): NewStreamEvent {
  const members = `an event with ${eventMembers.join(', ')}`
  if (typeof event !== 'object' || event === null || Array.isArray(event))
    throw bodyInvalid('An event must be a JSON object.', where, members)
  for (const name of Object.keys(event)) {
    if (!eventMembers.includes(name))
      throw bodyInvalid(`There is no member '${name}' here.`, `${where}.${name}`, members)
  }
  const { type } = event as { readonly type?: unknown }
  return { ...event, type: app.events.get(String(type)) ?? { type } } as NewStreamEvent
}
