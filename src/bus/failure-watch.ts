import type { Runtime } from '../core/runtime.ts'

/** How a failing subscription is paused. */
export const pauseRules = {
  /** How many of the last attempts are looked at. */
  window: 100,
  /** The share of failures among them that pauses. */
  share: 0.5,
  /** The first pause before a probe; doubled after every probe that fails. */
  firstMs: 1_000,
  maxMs: 60_000,
} as const

/**
 * Pauses a subscription when half of the last hundred keys failed: then its handler is down rather than an event bad, and
 * going on would only move the backlog into the dead letters. While paused, one attempt at a time probes, with backoff;
 * the first that succeeds ends the pause.
 */
export class FailureWatch {
  readonly #runtime: Pick<Runtime, 'now'>
  /** The last outcomes in a ring: 1 for a failure. */
  readonly #outcomes = new Uint8Array(pauseRules.window)
  #recorded = 0
  #failures = 0
  #pausedUntilMs: number | undefined
  #pauseMs: number = pauseRules.firstMs

  constructor(runtime: Pick<Runtime, 'now'>) {
    this.#runtime = runtime
  }

  /** When the next probe may start; undefined while not paused. */
  get pausedUntilMs(): number | undefined {
    return this.#pausedUntilMs
  }

  /** Takes note of an attempt. */
  record(succeeded: boolean): void {
    if (this.#pausedUntilMs !== undefined) {
      this.#probed(succeeded)
      return
    }
    const failure = succeeded ? 0 : 1
    const index = this.#recorded % pauseRules.window
    this.#failures += failure - (this.#outcomes[index] ?? 0)
    this.#outcomes[index] = failure
    this.#recorded += 1
    if (this.#recorded >= pauseRules.window && this.#failures >= pauseRules.window * pauseRules.share)
      this.#pause()
  }

  #probed(succeeded: boolean): void {
    if (succeeded) {
      this.#pausedUntilMs = undefined
      this.#pauseMs = pauseRules.firstMs
      this.#outcomes.fill(0)
      this.#recorded = 0
      this.#failures = 0
      return
    }
    this.#pauseMs = Math.min(pauseRules.maxMs, this.#pauseMs * 2)
    this.#pause()
  }

  #pause(): void {
    this.#pausedUntilMs = this.#runtime.now() + this.#pauseMs
  }
}
