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
  readonly #heap: Pending[] = []
  #elapsedMs = 0
  #sequence = 0

  /** The time that has passed since the simulation began, in milliseconds. */
  get elapsedMs(): number {
    return this.#elapsedMs
  }

  /** Calls `fire` once `afterMs` have passed. */
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
    this.#push(timer)
    return timer
  }

  /** The timer that fires next; the one set first where several are due at once. */
  next(): VirtualTimer | undefined {
    for (let first = this.#heap[0]; first !== undefined; first = this.#heap[0]) {
      if (!first.cancelled) return first
      this.#pop()
    }
    return undefined
  }

  /** Lets time pass until the next timer is due, and fires it. Gives the timer; undefined when there is none. */
  fireNext(): VirtualTimer | undefined {
    const next = this.next()
    if (next === undefined) return undefined
    const timer = this.#pop() as Pending
    this.#elapsedMs = Math.max(this.#elapsedMs, timer.atMs)
    timer.fire()
    return timer
  }

  /** Cancels every timer of an owner. */
  drop(owner: string): void {
    for (const timer of this.#heap) if (timer.owner === owner) timer.cancelled = true
  }

  #push(timer: Pending): void {
    const heap = this.#heap
    let index = heap.length
    heap.push(timer)
    while (index > 0) {
      const parent = (index - 1) >> 1
      const above = heap[parent] as Pending
      if (!before(timer, above)) break
      heap[index] = above
      index = parent
    }
    heap[index] = timer
  }

  #pop(): Pending | undefined {
    const heap = this.#heap
    const top = heap[0]
    const last = heap.pop()
    if (heap.length === 0 || last === undefined) return top
    let index = 0
    for (;;) {
      let child = index * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1] as Pending, heap[child] as Pending)) child += 1
      if (!before(heap[child] as Pending, last)) break
      heap[index] = heap[child] as Pending
      index = child
    }
    heap[index] = last
    return top
  }
}

function before(one: Pending, other: Pending): boolean {
  return one.atMs < other.atMs || (one.atMs === other.atMs && one.sequence < other.sequence)
}
