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
  #outcomes: boolean[] = []
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
    this.#outcomes.push(succeeded)
    if (!succeeded) this.#failures += 1
    if (this.#outcomes.length > pauseRules.window && this.#outcomes.shift() === false) this.#failures -= 1
    const full = this.#outcomes.length === pauseRules.window
    if (full && this.#failures >= pauseRules.window * pauseRules.share) this.#pause()
  }

  #probed(succeeded: boolean): void {
    if (succeeded) {
      this.#pausedUntilMs = undefined
      this.#pauseMs = pauseRules.firstMs
      this.#outcomes = []
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
