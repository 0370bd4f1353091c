import type { HandlersOverview } from '../../bus/status.ts'
import { type ErrorCode, errorCodes, MillraceError, messageOf } from '../../core/errors.ts'
import { eventToJson } from '../../core/event-codec.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Offset, Place } from '../../log/port.ts'
import { followOverHttp } from './http-follow.ts'
import type { LogAccess, RecordPage, ShownRecord, TopicView } from './port.ts'

/** Reaches a log through the platform's port of the process that is running on it. */
export function httpAccess(url: string): LogAccess {
  const base = url.replace(/\/+$/, '')
  return {
    location: base,
    running: true,
    async append(events, topic) {
      const query = topic === undefined ? '' : `?topic=${encodeURIComponent(topic)}`
      const answer = (await httpRequest(`${base}/events${query}`, {
        method: 'POST',
        headers: { 'content-type': 'application/cloudevents-batch+json' },
        body: `[${events.map(eventToJson).join(',')}]`,
      })) as { readonly records: readonly (Place & { offset: Offset; duplicate?: boolean })[] }
      return answer.records.map((place) => ({ ...place, duplicate: place.duplicate ?? false }))
    },
    async read(at, from, limit): Promise<RecordPage> {
      const query = new URLSearchParams({
        topic: at.topic,
        partition: String(at.partition),
        from: from instanceof Date ? from.toISOString() : String(from),
        limit: String(limit),
      })
      const page = (await httpRequest(`${base}/events?${query}`)) as RecordPage
      return { records: page.records.map(withBytes), next: page.next }
    },
    follow(following) {
      const errorOf = (body: unknown) => problem(base, 200, body)
      return followOverHttp(base, following, {
        connect,
        errorOf,
        recordOf: (sent) => withBytes(sent as ShownRecord),
      })
    },
    async topics() {
      const answer = (await httpRequest(`${base}/topics`)) as { readonly topics: readonly TopicView[] }
      return answer.topics
    },
    async handlers() {
      return (await httpRequest(`${base}/handlers`)) as HandlersOverview
    },
    async backup(folder) {
      await httpRequest(`${base}/backups`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ folder }),
      })
    },
    async close() {},
  }
}

const answerWithinMs = 5000

/** Whether a process of Millrace listens at a URL. `UNREACHABLE` when something else does, or when it does not answer. */
export async function listens(url: string, runtime: Pick<Runtime, 'sleep'>): Promise<boolean> {
  const waiting = new AbortController()
  const asking = new AbortController()
  const giveUp = runtime.sleep(answerWithinMs, waiting.signal).then(
    () => asking.abort(new Error(`none within ${answerWithinMs} ms`)),
    () => {},
  )
  try {
    await httpRequest(`${url.replace(/\/+$/, '')}/health/live`, { signal: asking.signal })
    return true
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error
    if (error.facts.refused === true) return false
    throw error.code === 'NOT_FOUND' ? noPlatform(url, 'This is no platform port.') : error
  } finally {
    waiting.abort()
    await giveUp
  }
}

/** Asks a platform's port; a refusal is the error that it stands for, and `UNREACHABLE` where nobody answers. */
export async function httpRequest(url: string, init: RequestInit = {}): Promise<unknown> {
  let response: Response
  let text: string
  try {
    response = await fetch(url, init)
    text = await response.text()
  } catch (cause) {
    throw unreachable(url, cause)
  }
  const body = parsed(text)
  if (response.ok && body !== undefined) return body
  throw problem(url, response.status, body)
}

async function connect(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch((cause: unknown) => {
    throw unreachable(url, cause)
  })
  if (response.ok) return response
  throw problem(url, response.status, parsed(await response.text()))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function unreachable(url: string, cause: unknown): MillraceError {
  const inner = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause
  const code = (inner as { readonly code?: unknown } | null)?.code
  const refused = code === 'ECONNREFUSED'
  return new MillraceError(
    'UNREACHABLE',
    refused ? 'Nobody listens there.' : `No answer: ${messageOf(inner) || String(code)}.`,
    {
      where: new URL(url).origin,
      fix: 'Start the application, or name where it runs with --url.',
      cause,
      facts: { refused },
    },
  )
}

/** The error that a problem document stands for, as the running process had it. */
function problem(url: string, status: number, body: unknown): MillraceError {
  const { code, detail, title, where, fix, ...facts } = (body ?? {}) as Record<string, unknown>
  if (typeof code === 'string' && Object.hasOwn(errorCodes, code)) {
    const message = String(detail ?? title ?? code)
    return new MillraceError(code as ErrorCode, message, {
      where: text(where),
      fix: text(fix),
      facts: { ...(facts.facts as object | undefined), ...indexOf(text(where)) },
    })
  }
  return noPlatform(url, `The answer (status ${status}) is not one of Millrace.`)
}

function noPlatform(url: string, message: string): MillraceError {
  return new MillraceError('UNREACHABLE', message, {
    where: url,
    fix: 'Name the platform port of a running application with --url; it is 4400 unless told otherwise.',
  })
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function indexOf(where: string | undefined): { readonly index?: number } {
  const found = /^\[(\d+)\]/.exec(where ?? '')
  return found === null ? {} : { index: Number(found[1]) }
}

function withBytes(record: ShownRecord): ShownRecord {
  const { data_base64, ...attributes } = record.event as ShownRecord['event'] & {
    readonly data_base64?: string
  }
  if (data_base64 === undefined) return record
  return { ...record, event: { ...attributes, data: new Uint8Array(Buffer.from(data_base64, 'base64')) } }
}
