/** Ends a move as a kill does: the nth call of an object fails, before it does anything or when all of it is done. */
export class CutOff {
  #left: number
  readonly #afterwards: boolean

  constructor({ calls, afterwards }: { readonly calls: number; readonly afterwards: boolean }) {
    this.#left = calls
    this.#afterwards = afterwards
  }

  get isReached(): boolean {
    return this.#left < 0
  }

  /** The object, whose calls are counted. */
  on<Target extends object>(target: Target): Target {
    return new Proxy(target, {
      get: (_, name) => {
        const member: unknown = Reflect.get(target, name, target)
        if (typeof member !== 'function' || name === 'close') return member
        return (...args: readonly unknown[]) => this.#call(() => Reflect.apply(member, target, args))
      },
    })
  }

  async #call(act: () => unknown): Promise<unknown> {
    this.#left -= 1
    if (this.#left > 0) return act()
    if (this.#left === 0 && this.#afterwards) await act()
    this.#left = -1
    throw new Error('cut off')
  }
}
