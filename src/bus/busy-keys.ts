/** The keys that an attempt is running for, and what waits for them to be free again. */
export class BusyKeys {
  readonly #keys = new Set<string>()
  /** Mostly nothing waits at all. */
  readonly #waiting = new Map<string, (() => void)[]>()

  /** Takes a key that is free; false where an attempt for it is running already. */
  take(key: string): boolean {
    const before = this.#keys.size
    return this.#keys.add(key).size > before
  }

  /** Calls `wake` when a key that is taken is free again. */
  wait(key: string, wake: () => void): void {
    const waiters = this.#waiting.get(key)
    if (waiters === undefined) this.#waiting.set(key, [wake])
    else waiters.push(wake)
  }

  /** A key is free again. */
  free(key: string): void {
    this.#keys.delete(key)
    if (this.#waiting.size === 0) return
    const waiters = this.#waiting.get(key) ?? []
    this.#waiting.delete(key)
    for (const wake of waiters) wake()
  }
}
