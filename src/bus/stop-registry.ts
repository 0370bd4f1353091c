/**
 * Tells running attempts that they are to stop. What an `AbortSignal` does, but taking off one of thousands of listeners
 * costs the same as taking off the only one.
 */
export class StopRegistry {
  readonly #listeners = new Set<(reason: unknown) => void>()
  #reason: { readonly value: unknown } | undefined

  get stopped(): boolean {
    return this.#reason !== undefined
  }

  /** Calls `listener` once when stopping begins; at once when it has begun. */
  add(listener: (reason: unknown) => void): void {
    if (this.#reason === undefined) this.#listeners.add(listener)
    else listener(this.#reason.value)
  }

  delete(listener: (reason: unknown) => void): void {
    this.#listeners.delete(listener)
  }

  /** Begins stopping. Later calls change nothing. */
  stop(reason: unknown): void {
    if (this.#reason !== undefined) return
    this.#reason = { value: reason }
    const listeners = [...this.#listeners]
    this.#listeners.clear()
    for (const listener of listeners) listener(reason)
  }
}
