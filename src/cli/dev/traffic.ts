/** A request that was passed on to a version of the application. */
export interface Passing {
  /** Ends it, without an answer where none has begun. */
  cut(): void
}

/** What was passed on and is not over: a version is stopped once all of it is being answered. */
export class Traffic {
  readonly #unanswered = new Set<Passing>()
  readonly #all = new Set<Passing>()
  #quiet: PromiseWithResolvers<void> | undefined

  begin(passing: Passing): void {
    this.#unanswered.add(passing)
    this.#all.add(passing)
  }

  /** The head of its answer has come: the version has taken the whole head of the request. */
  answered(passing: Passing): void {
    this.#unanswered.delete(passing)
    if (this.#unanswered.size === 0) this.#quiet?.resolve()
  }

  end(passing: Passing): void {
    this.#all.delete(passing)
    this.answered(passing)
  }

  /** Resolves when everything is being answered, or `late` aborts. */
  async quiet(late: AbortSignal): Promise<void> {
    if (this.#unanswered.size === 0 || late.aborted) return
    this.#quiet ??= Promise.withResolvers()
    const { promise, resolve } = this.#quiet
    const give = () => resolve()
    late.addEventListener('abort', give, { once: true })
    await promise
    late.removeEventListener('abort', give)
    this.#quiet = undefined
  }

  /** Ends everything. */
  cut(): void {
    for (const passing of [...this.#all]) passing.cut()
  }
}
