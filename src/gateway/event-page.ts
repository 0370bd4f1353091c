import type { RunningApp } from '../app/running.ts'
import { isRfc3339 } from '../core/cloud-event.ts'
import { isMillraceError, MillraceError } from '../core/errors.ts'
import { decodeEvent, eventToJson } from '../core/event-codec.ts'
import type { Batch, Offset, Place } from '../log/port.ts'
import { integer, parameters, required } from './parameters.ts'

/** How many records, and about how many bytes of them, one answer has. */
const limits = { records: 1000, defaultRecords: 100, bytes: 4 * 1024 * 1024 } as const

/**
 * The JSON that answers `GET /events?topic&partition&from&limit`: `{ records: [{ topic, partition, offset, event }], next }`: the records
 * of one partition from an offset or a time (RFC 3339) on, or from its start, each event in the CloudEvents JSON format,
 * and where to read on.
 */
export async function readEvents(running: RunningApp, query: unknown): Promise<string> {
  const given = parameters(query, ['topic', 'partition', 'from', 'limit'])
  const { engine } = running
  const topic = required(given.topic, 'topic')
  const most = engine.partitions - 1
  const partition = integer(required(given.partition, 'partition'), 'partition', {
    least: 0,
    most,
    otherwise: 0,
  })
  const records = integer(given.limit, 'limit', {
    least: 1,
    most: limits.records,
    otherwise: limits.defaultRecords,
  })
  await checkTopic(running, topic)
  const at = { topic, partition }
  const from = await offsetOf(running, at, given.from)
  return pageJson(at, await readAt(running, at, from, records))
}

/** Where to begin: at an offset, at the first record appended at a time or later, or at the start. */
async function offsetOf({ engine }: RunningApp, at: Place, from: string | undefined): Promise<Offset> {
  const timeMs = from !== undefined && isRfc3339(from) ? Date.parse(from) : Number.NaN
  if (!Number.isNaN(timeMs)) return engine.offsetAt(at, timeMs)
  const { start } = await engine.bounds(at)
  if (from !== undefined && !/^\d+$/.test(from)) {
    throw new MillraceError('REQUEST_INVALID', `The parameter 'from' is no place to begin: '${from}'.`, {
      where: 'query from',
      fix: 'Send an offset, or a time such as 2026-01-31T08:00:00Z.',
    })
  }
  return integer(from, 'from', { least: 0, most: Number.MAX_SAFE_INTEGER, otherwise: start })
}

async function checkTopic(running: RunningApp, topic: string): Promise<void> {
  const names = (await running.engine.listTopics()).map(({ name }) => name)
  if (names.includes(topic)) return
  throw new MillraceError('TOPIC_UNKNOWN', `There is no topic '${topic}'.`, {
    where: 'query topic',
    fix: `Use one of: ${names.join(', ')}.`,
  })
}

async function readAt(running: RunningApp, at: Place, from: Offset, records: number): Promise<Batch> {
  try {
    return await running.engine.read(at, from, { records, bytes: limits.bytes })
  } catch (error) {
    throw withPlace(error, at, from)
  }
}

/** The engine knows the place of a corrupt record; the answer to a person says it, and how to go on. */
function withPlace(error: unknown, at: Place, from: Offset): unknown {
  if (!isMillraceError(error, 'RECORD_CORRUPT')) return error
  const offset = typeof error.facts.offset === 'number' ? error.facts.offset : from
  return new MillraceError('RECORD_CORRUPT', error.message, {
    where: `${at.topic}/${at.partition} at ${offset}`,
    fix: `Read on behind it with from=${offset + 1}.`,
    facts: { ...error.facts, ...at, offset },
    cause: error,
  })
}

/** Written by hand around each event, so that its data leaves as it is stored: bytes as base64, a negative zero as one. */
function pageJson(at: Place, batch: Batch): string {
  const records = batch.records.map(({ offset, value }) => {
    const place = `"topic":${JSON.stringify(at.topic)},"partition":${at.partition},"offset":${offset}`
    return `{${place},"event":${eventToJson(decodeEvent(value))}}`
  })
  return `{"records":[${records.join(',')}],"next":${batch.next}}`
}
