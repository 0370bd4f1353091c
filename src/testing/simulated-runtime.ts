import type { Runtime } from '../core/runtime.ts'
import { uuidv7 } from '../core/uuid.ts'
import { SeededRandom } from './random.ts'
import type { VirtualTime } from './virtual-time.ts'

/** Thrown by every call on the runtime of a process that has crashed: its code must not go on. */
export class ProcessCrashed extends Error {
  constructor(process: string) {
    super(`${process} has crashed`)
    this.name = 'ProcessCrashed'
  }
}

/** Options of {@link SimulatedRuntime}. */
export interface SimulatedRuntimeOptions {
  readonly time: VirtualTime
  readonly seed: number
  /** Unique in the simulation: it owns the timers and seeds the generators. */
  readonly name: string
  /** The wall clock when no time had elapsed, in milliseconds since 1970 UTC. */
  readonly epochMs: number
  /** Told of background tasks that reject while the process lives. */
  readonly onTaskFailed: (task: string, error: unknown) => void
}

/** The runtime of one process of a simulation, from its start to its end: virtual time and seeded chance. */
export class SimulatedRuntime implements Runtime {
  readonly #options: SimulatedRuntimeOptions
  readonly #random: SeededRandom
  readonly #idRandom: SeededRandom
  readonly #idBytes = new Uint8Array(10)
  #aheadMs = 0
  #alive = true

  constructor(options: SimulatedRuntimeOptions) {
    this.#options = options
    this.#random = new SeededRandom(options.seed, `${options.name} random`)
    this.#idRandom = new SeededRandom(options.seed, `${options.name} ids`)
  }

  get alive(): boolean {
    return this.#alive
  }

  now(): number {
    this.#check()
    return this.#options.epochMs + this.#options.time.elapsedMs + this.#aheadMs
  }

  /** Moves the wall clock forward, or back where negative; sleeps take as long as before. */
  jump(byMs: number): void {
    this.#aheadMs += byMs
  }

  /** The sleeps of a process that crashed never settle. */
  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    const { time, name } = this.#options
    return new Promise((resolve, reject) => {
      if (!this.#alive) return
      if (signal?.aborted) return reject(signal.reason)
      const onAbort = () => {
        timer.cancel()
        if (this.#alive) reject(signal?.reason)
      }
      const timer = time.after(durationMs, name, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  random(): number {
    this.#check()
    return this.#random.next()
  }

  id(): string {
    return uuidv7(this.now(), this.#idRandom.fill(this.#idBytes))
  }

  spawn(name: string, task: () => Promise<void>): void {
    this.#check()
    task().catch((error: unknown) => {
      if (this.#alive) this.#options.onTaskFailed(name, error)
    })
  }

  /** Ends the process: what sleeps never wakes, and every further call throws. */
  crash(): void {
    this.#alive = false
    this.#options.time.drop(this.#options.name)
  }

  #check(): void {
    if (!this.#alive) throw new ProcessCrashed(this.#options.name)
  }
}
