import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'

/** What waiting is bounded by. */
export const waitingBounds = { requests: 1000, waitMs: 10_000 } as const

/**
 * Where requests wait while no version of the application takes any. They go on in the order in which they came; more than
 * {@link waitingBounds} says, and longer, none of them waits: `APP_UNAVAILABLE`.
 */
export class WaitingLine<Target> {
  readonly #runtime: Pick<Runtime, 'sleep' | 'spawn'>
  readonly #waiting = new Set<PromiseWithResolvers<Target>>()
  #target: Target | undefined
  #refusal: MillraceError | undefined

  constructor(runtime: Pick<Runtime, 'sleep' | 'spawn'>) {
    this.#runtime = runtime
  }

  /** Where requests go now; undefined while they wait or are refused. */
  get target(): Target | undefined {
    return this.#target
  }

  /** Lets everything go on. */
  open(target: Target): void {
    this.#target = target
    this.#refusal = undefined
    for (const { resolve } of this.#waiting) resolve(target)
    this.#waiting.clear()
  }

  /** From now on requests wait. */
  hold(): void {
    this.#target = undefined
    this.#refusal = undefined
  }

  /** From now on nothing can be waited for: whatever waits and comes is refused. */
  refuse(why: MillraceError): void {
    this.#target = undefined
    this.#refusal = why
    for (const { reject } of this.#waiting) reject(why)
    this.#waiting.clear()
  }

  /** Resolves when the request may go on, and where to. Rejects with `APP_UNAVAILABLE`, or with the reason of `gone`. */
  async enter(gone: AbortSignal): Promise<Target> {
    if (this.#target !== undefined) return this.#target
    if (this.#refusal !== undefined) throw this.#refusal
    if (this.#waiting.size >= waitingBounds.requests) {
      throw unavailable(`${waitingBounds.requests} requests wait already for the application.`)
    }
    const waiter = Promise.withResolvers<Target>()
    this.#waiting.add(waiter)
    const timer = new AbortController()
    this.#runtime.spawn('patience', () =>
      this.#runtime.sleep(waitingBounds.waitMs, timer.signal).then(
        () =>
          waiter.reject(
            unavailable(`The application took no requests for ${waitingBounds.waitMs / 1000} s.`),
          ),
        () => {},
      ),
    )
    const leave = () => waiter.reject(gone.reason)
    gone.addEventListener('abort', leave, { once: true })
    try {
      return await waiter.promise
    } finally {
      timer.abort('settled')
      gone.removeEventListener('abort', leave)
      this.#waiting.delete(waiter)
    }
  }
}

/** No version of the application could answer. */
export function unavailable(
  message: string,
  details: { readonly where?: string; readonly fix?: string } = {},
): MillraceError {
  return new MillraceError('APP_UNAVAILABLE', message, {
    fix: 'Send it again after a moment; the terminal of `millrace dev` shows what the application does.',
    ...details,
  })
}
