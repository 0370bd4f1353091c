import { type EventSourceMessage, EventSourceParserStream } from 'eventsource-parser/stream'
import { isMillraceError, MillraceError, messageOf } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Followed, FollowRequest, ShownRecord } from './port.ts'

/** How the process at the other end is spoken to. */
export interface HttpTools {
  /** A response that is fine; otherwise the error that it stands for. */
  connect(url: string, init: RequestInit): Promise<Response>
  /** The error that a problem document stands for. */
  errorOf(problem: unknown): MillraceError
  /** A record as it was sent, with its bytes as bytes. */
  recordOf(sent: unknown): ShownRecord
}

const firstDelayMs = 100
const longestDelayMs = 5000

/**
 * Follows over `GET /events/live`. When the connection ends or fails it connects again with backoff, from where it was, and
 * tells of it; only a refusal that does not pass is thrown.
 */
export async function* followOverHttp(
  base: string,
  request: FollowRequest,
  tools: HttpTools,
): AsyncGenerator<Followed> {
  const { signal, runtime, onInterrupted } = request
  let { after } = request
  for (let failures = 0; !signal.aborted; failures += 1) {
    try {
      for await (const { event, id, data } of messages(base, { ...request, after }, tools)) {
        if (failures > 0) request.onResumed()
        failures = 0
        after = id ?? after
        if (event === 'problem') throw tools.errorOf(JSON.parse(data))
        if (event === 'skipped') yield { skipped: tools.errorOf(JSON.parse(data)) }
        if (event === undefined) yield { record: tools.recordOf(JSON.parse(data)) }
      }
      onInterrupted(interrupted(base, new Error('it was closed')))
    } catch (error) {
      if (signal.aborted) return
      if (!passes(error)) throw error
      if (failures === 0) onInterrupted(interrupted(base, error))
    }
    await backOff(runtime, failures, signal)
  }
}

/** What one connection gives. A connection that breaks is `UNREACHABLE`. */
async function* messages(
  base: string,
  { topics, types, after, signal }: FollowRequest,
  tools: HttpTools,
): AsyncGenerator<EventSourceMessage> {
  const query = new URLSearchParams()
  if (topics !== undefined) query.set('topic', topics.join(','))
  if (types.length > 0) query.set('type', types.join(','))
  const headers = { accept: 'text/event-stream', 'last-event-id': after }
  const response = await tools.connect(`${base}/events/live?${query}`, { headers, signal })
  const stream = response.body
    ?.pipeThrough(new TextDecoderStream())
    .pipeThrough(new EventSourceParserStream())
  const reader = stream?.getReader()
  for (;;) {
    const next = await reader?.read().catch((cause: unknown) => {
      throw new MillraceError('UNREACHABLE', messageOf(cause), { cause })
    })
    if (next === undefined || next.done) return
    yield next.value
  }
}

function interrupted(base: string, cause: Error): MillraceError {
  const why = cause.message.replace(/\.$/, '')
  return new MillraceError('UNREACHABLE', `The connection has ended: ${why}.`, {
    where: base,
    fix: 'Nothing: it connects again and goes on where it was.',
    cause,
  })
}

/** A log that closes is one whose process stops, perhaps to be started again. */
function passes(error: unknown): error is MillraceError {
  return error instanceof MillraceError && (error.retryable || isMillraceError(error, 'LOG_CLOSED'))
}

/** Waits longer each time, and never exactly as long as others do. */
async function backOff(runtime: Runtime, failures: number, signal: AbortSignal): Promise<void> {
  const mostMs = Math.min(longestDelayMs, firstDelayMs * 2 ** failures)
  await runtime.sleep(mostMs * (0.5 + runtime.random() / 2), signal).catch(() => {})
}
