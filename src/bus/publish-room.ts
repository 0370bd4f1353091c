import { MillraceError } from '../core/errors.ts'

/** How many events may be on their way to the log at once, and how many may wait behind them. */
export const publishBounds = { inFlight: 16_384, waiting: 16_384 } as const

/** Counts what is on its way; the rest waits in line, up to a bound. */
export class PublishRoom {
  #inFlight = 0
  readonly #line: { count: number; enter: () => void }[] = []
  #waiting = 0

  /**
   * Undefined where there is room at once; resolves once there is, and rejects with the signal's reason. Throws `OVERLOADED` where
   * the line is full.
   */
  enter(count: number, signal: AbortSignal | undefined): Promise<void> | undefined {
    if (this.#line.length === 0 && this.#fits(count)) {
      this.#inFlight += count
      return undefined
    }
    if (this.#waiting + count > publishBounds.waiting && this.#waiting > 0) {
      throw new MillraceError('OVERLOADED', 'Too many events are on their way to the log.', {
        fix: 'Publish again after a moment, or wait for earlier publishes to resolve first.',
      })
    }
    return this.#waitInLine(count, signal)
  }

  /** So many are no longer on their way: those in line come in, as far as there is room. */
  leave(count: number): void {
    this.#inFlight -= count
    for (let next = this.#line[0]; next !== undefined && this.#fits(next.count); next = this.#line[0]) {
      this.#line.shift()
      this.#waiting -= next.count
      this.#inFlight += next.count
      next.enter()
    }
  }

  #fits(count: number): boolean {
    return this.#inFlight === 0 || this.#inFlight + count <= publishBounds.inFlight
  }

  #waitInLine(count: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = {
        count,
        enter: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#line.splice(this.#line.indexOf(waiter), 1)
        this.#waiting -= count
        reject(signal?.reason)
      }
      if (signal?.aborted) return reject(signal.reason)
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#line.push(waiter)
      this.#waiting += count
    })
  }
}
