import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../core/errors.ts'

/** How many requests a server handles at once, and how many bytes their bodies may have together. */
export const requestBounds = { requests: 4096, bodyBytes: 64 * 1024 * 1024 } as const

/** Counts the requests that are being handled, and refuses more than fit: the memory that bodies take stays bounded. */
export class RequestRoom {
  readonly #maxBodyBytes: number
  /**
   * What is being answered, with gaps. No `Set`: that makes a new table each time it has taken as many as there is room for, and the
   * tables of before, until V8 collects all garbage, keep what they held, which was nearly every response with its request.
   */
  readonly #inside: (ServerResponse | undefined)[] = []
  /** The gaps. */
  readonly #free: number[] = []
  #bodyBytes = 0
  #closing = false

  constructor(maxBodyBytes: number) {
    this.#maxBodyBytes = maxBodyBytes
  }

  get closing(): boolean {
    return this.#closing
  }

  /** Lets a request in until its response has ended; `OVERLOADED` when there is no room. */
  enter(request: IncomingMessage, response: ServerResponse): void {
    const bytes = this.#announcedBytes(request)
    const fits =
      this.#inside.length - this.#free.length < requestBounds.requests &&
      (this.#bodyBytes === 0 || this.#bodyBytes + bytes <= requestBounds.bodyBytes)
    if (!fits) {
      throw new MillraceError('OVERLOADED', 'Too many requests are being handled.', {
        fix: 'Send the request again after a moment.',
      })
    }
    const place = this.#free.pop() ?? this.#inside.length
    this.#inside[place] = response
    this.#bodyBytes += bytes
    if (this.#closing) response.shouldKeepAlive = false
    // Comes once; `once` would make two functions more.
    response.on('close', () => {
      this.#inside[place] = undefined
      this.#free.push(place)
      this.#bodyBytes -= bytes
      // A response whose headers went out before closing began could not ask for the connection's end.
      if (this.#closing) request.socket.destroySoon()
    })
  }

  /** From now on every connection ends with the response that is under way on it, and says so where it still can. */
  beginClosing(): void {
    this.#closing = true
    for (const response of this.#inside) if (response !== undefined) response.shouldKeepAlive = false
  }

  /** Ends what is still being handled, without an answer. */
  cutOff(): void {
    for (const response of this.#inside) response?.req.socket.destroy()
  }

  /** A body of unknown length may grow up to the bound; one that is announced beyond it is refused unread. */
  #announcedBytes({ headers }: IncomingMessage): number {
    if (headers['transfer-encoding'] !== undefined) return this.#maxBodyBytes
    const announced = Number(headers['content-length'] ?? 0)
    return announced <= this.#maxBodyBytes ? announced : 0
  }
}
