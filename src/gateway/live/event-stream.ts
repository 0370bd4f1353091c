import type { ServerResponse } from 'node:http'
import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'

/** One server-sent event. */
export interface ServerSentEvent {
  /** What kind of event it is; `message` unless given. */
  readonly event?: string
  readonly id?: string
  /** Text of one line, such as JSON. */
  readonly data: string
}

/** A response of server-sent events. It holds no more than the connection's own buffer and one event. */
export class EventStream {
  readonly #response: ServerResponse
  readonly #runtime: Runtime
  readonly #stallMs: number
  readonly #closed = new AbortController()
  #full = false

  /** `stallMs` is how long a reader may take to make room. */
  constructor(response: ServerResponse, runtime: Runtime, stallMs: number) {
    this.#response = response
    this.#runtime = runtime
    this.#stallMs = stallMs
    const close = () => this.#closed.abort(new Error('The connection has ended.'))
    if (response.closed) close()
    else response.once('close', close)
  }

  /** Aborted when the connection has ended, from either side. */
  get closed(): AbortSignal {
    return this.#closed.signal
  }

  /** Whether the reader has yet to make room. */
  get full(): boolean {
    return this.#full
  }

  /** Sends the head of the response. */
  begin(headers: Readonly<Record<string, string>>): void {
    this.#response.writeHead(200, headers)
    this.#response.flushHeaders()
  }

  /**
   * Sends an event; resolves when there is room for the next one. Rejects with `SLOW_READER` when the reader makes none, and
   * with the reason of {@link closed} when the connection ends.
   */
  async send({ event, id, data }: ServerSentEvent): Promise<void> {
    const lines = [event && `event: ${event}`, id !== undefined && `id: ${id}`, `data: ${data}`]
    const room = this.#response.write(`${lines.filter((line) => line).join('\n')}\n\n`)
    if (!room) await this.#drained()
  }

  /** Sends what readers skip, to keep the connection alive. */
  comment(text: string): void {
    this.#response.write(`: ${text}\n\n`)
  }

  /** Ends the response after a last event; cuts it off when the reader does not take that either. */
  end(last?: ServerSentEvent): void {
    if (this.#closed.signal.aborted) return
    this.#response.end(last && `event: ${last.event}\ndata: ${last.data}\n\n`)
    this.#runtime.spawn('end of live events', async () => {
      const late = await this.#runtime.sleep(this.#stallMs, this.#closed.signal).then(
        () => true,
        () => false,
      )
      if (late) this.#response.destroy()
    })
  }

  async #drained(): Promise<void> {
    this.#full = true
    const waiting = new AbortController()
    const settle = () => waiting.abort()
    this.#response.once('drain', settle)
    this.#closed.signal.addEventListener('abort', settle, { once: true })
    try {
      const late = await this.#runtime.sleep(this.#stallMs, waiting.signal).then(
        () => true,
        () => false,
      )
      this.#closed.signal.throwIfAborted()
      if (late) throw slowReader(this.#stallMs)
    } finally {
      this.#full = false
      this.#response.off('drain', settle)
      this.#closed.signal.removeEventListener('abort', settle)
    }
  }
}

function slowReader(stallMs: number): MillraceError {
  return new MillraceError('SLOW_READER', `Nothing was read for ${stallMs / 1000} s.`, {
    fix: 'Read faster, or less with topic= and type=. Come back with the last id as Last-Event-ID: nothing is missed.',
  })
}
