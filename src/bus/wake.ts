import type { Runtime } from '../core/runtime.ts'

/** Without a reason one is made for every call, with its stack. */
const woken = new Error('woken')

/**
 * Lets one loop wait for news without polling. A notification that comes while nobody waits is kept, so none is missed;
 * several before the next wait count as one.
 */
export class Wake {
  #notified = false
  #resolve: (() => void) | undefined

  /** Wakes the waiting loop, or lets the next wait pass at once. */
  notify(): void {
    if (this.#notified) return
    this.#notified = true
    this.#resolve?.()
  }

  /** Resolves at the next notification, or at once when there was one since the last wait. */
  async wait(): Promise<void> {
    if (!this.#notified) await new Promise<void>((resolve) => (this.#resolve = resolve))
    this.#resolve = undefined
    this.#notified = false
  }

  /** As {@link wait}, but at the latest after `durationMs`. */
  async waitAtMost(durationMs: number, runtime: Pick<Runtime, 'sleep'>): Promise<void> {
    const timer = new AbortController()
    const slept = runtime.sleep(durationMs, timer.signal).then(
      () => this.notify(),
      () => {},
    )
    await this.wait()
    timer.abort(woken)
    await slept
  }
}
