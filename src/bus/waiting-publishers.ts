import { MillraceError } from '../core/errors.ts'
import { decodeEvent } from '../core/event-codec.ts'
import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine, Offset, Place, StoredRecord } from '../log/port.ts'
import { type Reply, writeReplyAddress } from './replies.ts'

/** How many publishers of one process may wait at once. */
export const maxWaitingPublishers = 10_000
/** How long replies are kept in the log, in milliseconds: nobody reads them after their publisher has gone. */
const keepRepliesMs = 10 * 60_000
const readLimits = { records: 1_024, bytes: 4 * 1024 * 1024 } as const

/** What waiting publishers work with. */
export interface WaitingTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly logger: Logger
  /** This process's partition of the topic of replies. */
  readonly place: Place
  /** Aborts when the process stops; whoever waits then is told so. */
  readonly signal: AbortSignal
}

/** A publisher that waits. */
export interface Waiter {
  /** What the event is to carry as `millracereplyto`. */
  readonly address: string
  /**
   * Resolves with their replies once every handler has handled the event; rejects with `HANDLER_FAILED` when one has given
   * up.
   */
  readonly done: Promise<readonly Reply[]>
  /** The replies so far. */
  readonly replies: readonly Reply[]
  /** Ends the wait. */
  end(): void
}

interface Waiting {
  readonly handlers: Set<string>
  readonly replies: Reply[]
  readonly resolve: (replies: readonly Reply[]) => void
  readonly reject: (error: unknown) => void
}

/**
 * The publishers of one process that wait until their events are handled. Replies are records in the process's partition of
 * one topic, which is read only while somebody waits, so it does not matter which process handled the event.
 */
export class WaitingPublishers {
  readonly #tools: WaitingTools
  readonly #waiting = new Map<string, Waiting>()
  #following: Promise<void> | undefined
  #idle = new AbortController()

  constructor(tools: WaitingTools) {
    this.#tools = tools
    tools.signal.addEventListener('abort', () => this.#rejectAll(tools.signal.reason), { once: true })
  }

  /** Begins to wait for handlers, before the event is appended so that no reply is missed. `OVERLOADED` at the bound. */
  async begin(handlers: readonly string[]): Promise<Waiter> {
    this.#tools.signal.throwIfAborted()
    if (this.#waiting.size >= maxWaitingPublishers) {
      throw new MillraceError(
        'OVERLOADED',
        `${maxWaitingPublishers} publishers of this process wait already.`,
        {
          fix: 'Publish without `wait`, or after some of them are done.',
        },
      )
    }
    const waiter = this.#tools.runtime.id()
    const { promise: done, resolve, reject } = Promise.withResolvers<readonly Reply[]>()
    // Whoever waits may have given up by the time it fails.
    done.catch(() => {})
    const replies: Reply[] = []
    this.#waiting.set(waiter, { handlers: new Set(handlers), replies, resolve, reject })
    if (handlers.length === 0) this.#settle(waiter, () => resolve([]))
    await this.#follow()
    return {
      address: writeReplyAddress({ ...this.#tools.place, waiter }),
      done,
      replies,
      end: () => this.#settle(waiter, () => {}),
    }
  }

  /** Resolves once replies are followed from the end of the log on. */
  #follow(): Promise<void> {
    if (this.#following !== undefined || this.#waiting.size === 0) return this.#following ?? Promise.resolve()
    this.#idle = new AbortController()
    const signal = AbortSignal.any([this.#tools.signal, this.#idle.signal])
    this.#following = this.#tools.engine.bounds(this.#tools.place).then(({ end }) => {
      this.#tools.runtime.spawn('replies', () => this.#read(end, signal))
    })
    this.#following.catch((error: unknown) => {
      this.#following = undefined
      this.#rejectAll(error)
    })
    return this.#following
  }

  async #read(from: Offset, signal: AbortSignal): Promise<void> {
    const { engine, place, logger } = this.#tools
    try {
      for (let next = from; !signal.aborted; ) {
        await engine.changed(new Map([[place, next]]), signal)
        const batch = await engine.read(place, next, readLimits, signal)
        for (const record of batch.records) this.#take(record)
        next = batch.next
        await this.#forgetOldReplies()
      }
    } catch (error) {
      if (signal.aborted) return
      logger.warn({ err: error }, 'replies cannot be read; whoever waits is told so')
      this.#following = undefined
      this.#rejectAll(error)
    }
  }

  /** Nobody who waits is to hear that the disk takes no writes: the next reply tries again. */
  async #forgetOldReplies(): Promise<void> {
    const { engine, place, runtime, logger } = this.#tools
    try {
      await engine.trim(place, { beforeTimeMs: runtime.now() - keepRepliesMs })
    } catch (error) {
      logger.debug({ err: error }, 'old replies are kept for now')
    }
  }

  #take({ value }: StoredRecord): void {
    const reply = decodeEvent(value).data as Reply
    const waiting = this.#waiting.get(reply.waiter)
    if (waiting === undefined) return
    if (reply.outcome === 'dead-lettered') {
      this.#settle(reply.waiter, () => waiting.reject(handlerFailed(reply)))
      return
    }
    if (!waiting.handlers.delete(reply.handler)) return
    waiting.replies.push(reply)
    if (waiting.handlers.size === 0) this.#settle(reply.waiter, () => waiting.resolve(waiting.replies))
  }

  #settle(waiter: string, how: () => void): void {
    if (!this.#waiting.delete(waiter)) return
    how()
    if (this.#waiting.size > 0) return
    this.#idle.abort()
    this.#following = undefined
  }

  #rejectAll(error: unknown): void {
    for (const [waiter, waiting] of [...this.#waiting]) this.#settle(waiter, () => waiting.reject(error))
  }
}

function handlerFailed(reply: Reply): MillraceError {
  const { handler, error } = reply
  return new MillraceError('HANDLER_FAILED', `Handler '${handler}' gave up: ${error?.message ?? 'unknown'}`, {
    where: `handler '${handler}'`,
    fix: 'See the dead letters of the application for its attempts.',
    facts: { handler, error },
  })
}
