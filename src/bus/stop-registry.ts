/**
 * Tells what works on a claim that it is to stop. What an `AbortSignal` does, but asking whether it has costs next to nothing, and it
 * keeps a reason of any kind.
 */
export class StopRegistry {
  readonly #listeners: ((reason: unknown) => void)[] = []
  #stopped: { readonly reason: unknown } | undefined

  /** Why it is to stop; undefined while it is not. */
  get stopped(): { readonly reason: unknown } | undefined {
    return this.#stopped
  }

  /** Calls `listener` once when stopping begins; never when it has begun by now. */
  onStop(listener: (reason: unknown) => void): void {
    this.#listeners.push(listener)
  }

  /** Begins stopping. Later calls change nothing. */
  stop(reason: unknown): void {
    if (this.#stopped !== undefined) return
    this.#stopped = { reason }
    for (const listener of this.#listeners) listener(reason)
  }
}
