import type { Runtime } from '../../core/runtime.ts'
import type { Client, Headers, Message, PublishOptions, Subscription } from './client.ts'
import { Unanswered } from './failures.ts'

/** How often requests are looked through for those that have waited too long. */
const sweepMs = 250

interface Waiting {
  readonly sweep: number
  resolve(data: Uint8Array): void
  reject(error: unknown): void
}

/**
 * Requests over one connection. The client library has them too, but prepares an error with its stack for each, which is a third of
 * what a publish costs.
 */
export class Requests {
  readonly #client: Client
  readonly #runtime: Runtime
  readonly #inbox: string
  readonly #subscription: Subscription
  readonly #waiting = new Map<string, Waiting>()
  readonly #ending = new AbortController()
  readonly #sweepsToWait: number
  #count = 0
  #sweeps = 0
  #sweeping = false

  constructor(client: Client, runtime: Runtime, inbox: string, timeoutMs: number) {
    this.#client = client
    this.#runtime = runtime
    this.#inbox = inbox
    this.#sweepsToWait = Math.ceil(timeoutMs / sweepMs)
    this.#subscription = client.subscribe(`${inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#answer(message)
      },
    })
  }

  /** Resolves with the answer's bytes. Rejects with {@link Unanswered} when there is none in time, or nobody to answer. */
  request(subject: string, payload: Uint8Array, headers?: Headers): Promise<Uint8Array> {
    return new Promise((resolve, reject) => {
      this.#count += 1
      const token = this.#count.toString(36)
      const options: PublishOptions = { reply: `${this.#inbox}.${token}` }
      if (headers !== undefined) options.headers = headers
      this.#client.publish(subject, payload, options)
      this.#waiting.set(token, { sweep: this.#sweeps + this.#sweepsToWait, resolve, reject })
      if (this.#sweeping) return
      this.#sweeping = true
      this.#runtime.spawn('nats requests', () => this.#sweep())
    })
  }

  close(): void {
    this.#ending.abort()
    this.#subscription.unsubscribe()
    this.interrupt()
  }

  /** Whatever waits now is not answered any more: the connection that it was sent on is gone. */
  interrupt(): void {
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(new Unanswered('the connection was lost'))
  }

  #answer({ subject, data, headers }: Message): void {
    const token = subject.slice(subject.lastIndexOf('.') + 1)
    const waiting = this.#waiting.get(token)
    if (waiting === undefined) return
    this.#waiting.delete(token)
    if (headers?.code === 503)
      waiting.reject(new Unanswered('nobody leads what was asked for', { isUnheard: true }))
    else waiting.resolve(data)
  }

  async #sweep(): Promise<void> {
    const waitedMs = this.#sweepsToWait * sweepMs
    while (this.#waiting.size > 0 && !this.#ending.signal.aborted) {
      await this.#runtime.sleep(sweepMs, this.#ending.signal).catch(() => undefined)
      this.#sweeps += 1
      for (const [token, { sweep, reject }] of this.#waiting) {
        // They are in the order in which they were asked.
        if (sweep >= this.#sweeps) break
        this.#waiting.delete(token)
        reject(new Unanswered('there was no answer in time', { waitedMs }))
      }
    }
    this.#sweeping = false
  }
}
