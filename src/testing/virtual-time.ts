import TinyQueue from 'tinyqueue'

/** A timer of {@link VirtualTime}. */
export interface VirtualTimer {
  /** When it fires, in elapsed milliseconds. */
  readonly atMs: number
  /** Who set it: for traces, and to drop the timers of a process that crashed. */
  readonly owner: string
  cancel(): void
}

interface Pending extends VirtualTimer {
  readonly sequence: number
  readonly fire: () => void
  cancelled: boolean
}

/** Elapsed time that passes only when it is told to, with the timers that wait for it. */
export class VirtualTime {
  readonly #timers = new TinyQueue<Pending>([], (one, other) =>
    one.atMs === other.atMs ? one.sequence - other.sequence : one.atMs - other.atMs,
  )
  #elapsedMs = 0
  #sequence = 0

  /** The time that has passed since the simulation began, in milliseconds. */
  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Calls `fire` once `afterMs` have passed, even where that is at once: never within this call. */
  after(afterMs: number, owner: string, fire: () => void): VirtualTimer {
    const timer: Pending = {
      atMs: this.#elapsedMs + Math.max(0, Math.ceil(afterMs)),
      owner,
      sequence: this.#sequence,
      fire,
      cancelled: false,
      cancel: () => {
        timer.cancelled = true
      },
    }
    this.#sequence += 1
    this.#timers.push(timer)
    return timer
  }

  /** The timer that fires next; the one set first where several are due at once. */
  next(): VirtualTimer | undefined {
    while (this.#timers.peek()?.cancelled) this.#timers.pop()
    return this.#timers.peek()
  }

  /** Lets time pass until the next timer is due, and fires it. Gives the timer; undefined when there is none. */
  fireNext(): VirtualTimer | undefined {
    const timer = this.next() === undefined ? undefined : this.#timers.pop()
    if (timer === undefined) return undefined
    this.#elapsedMs = timer.atMs
    timer.fire()
    return timer
  }

  /** Cancels every timer of an owner. */
  drop(owner: string): void {
    for (const timer of this.#timers.data) if (timer.owner === owner) timer.cancelled = true
  }
}
