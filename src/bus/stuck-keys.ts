import type { Logger, Runtime } from '../core/runtime.ts'

/** What following attempts that go on after their time-out needs. */
export interface StuckKeysTools {
  readonly handler: string
  readonly runtime: Pick<Runtime, 'sleep' | 'spawn'>
  readonly logger: Logger
  /** How long one may go on before it is shown as stuck. */
  readonly graceMs: number
}

/** The keys of a handler whose timed-out attempt has not ended. */
export class StuckKeys {
  readonly #tools: StuckKeysTools
  readonly #keys = new Set<string>()

  constructor(tools: StuckKeysTools) {
    this.#tools = tools
  }

  /** Those whose grace is over. */
  get all(): readonly string[] {
    return [...this.#keys]
  }

  /** Follows an attempt that goes on; calls `ended` once `settled` resolves. */
  follow(key: string, settled: Promise<void>, ended: () => void): void {
    const { handler, runtime, logger, graceMs } = this.#tools
    const grace = new AbortController()
    runtime.spawn(`grace of ${handler}`, async () => {
      const isOver = await runtime.sleep(graceMs, grace.signal).then(
        () => true,
        () => false,
      )
      if (!isOver) return
      this.#keys.add(key)
      logger.warn({ code: 'HANDLER_STUCK', handler, key }, 'a timed-out attempt does not end')
    })
    runtime.spawn(`end of ${handler}`, async () => {
      await settled
      grace.abort()
      this.#keys.delete(key)
      ended()
    })
  }
}
