/** Counts partitions that are being given anew, for {@link Membership.renewal} of an engine. */
export class Renewals {
  #count = 0
  #all: PromiseWithResolvers<void> | undefined

  /** Resolves when every one that has begun is over; undefined while none is under way. */
  get pending(): Promise<void> | undefined {
    return this.#all?.promise
  }

  begin(): void {
    this.#count += 1
    this.#all ??= Promise.withResolvers()
  }

  end(): void {
    this.#count -= 1
    if (this.#count > 0) return
    this.#all?.resolve()
    this.#all = undefined
  }
}
