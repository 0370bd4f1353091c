import type { Runtime } from '../core/runtime.ts'
import { uuidv7 } from '../core/uuid.ts'
import { SeededRandom } from './random.ts'

/** Options of {@link ManualRuntime}. */
export interface ManualRuntimeOptions {
  /** The wall clock at the start, in milliseconds since 1970 UTC; some time in 2026 unless given. */
  readonly nowMs?: number
  /** What `random` and `id` are drawn from; 1 unless given. */
  readonly seed?: number
}

interface Sleeper {
  readonly dueMs: number
  readonly wake: () => void
}

/** A runtime whose time passes only when a test says so, and whose chance and ids are the same in every run. */
export class ManualRuntime implements Runtime {
  /** What background tasks rejected with. A test that expects none asserts that this is empty. */
  readonly failures: unknown[] = []
  readonly #random: SeededRandom
  readonly #idBytes = new Uint8Array(10)
  #sleepers: Sleeper[] = []
  #nowMs: number
  #elapsedMs = 0

  constructor({ nowMs = Date.UTC(2026, 0, 1), seed = 1 }: ManualRuntimeOptions = {}) {
    this.#nowMs = nowMs
    this.#random = new SeededRandom(seed, 'manual runtime')
  }

  now(): number {
    return this.#nowMs
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const sleeper = {
        dueMs: this.#elapsedMs + Math.max(0, durationMs),
        wake: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  random(): number {
    return this.#random.next()
  }

  id(): string {
    return uuidv7(this.#nowMs, this.#random.fill(this.#idBytes))
  }

  spawn(_name: string, task: () => Promise<void>): void {
    task().catch((error: unknown) => this.failures.push(error))
  }

  /** Sets the wall clock, forward or back. Sleeps take as long as before. */
  set(nowMs: number): void {
    this.#nowMs = nowMs
  }

  /** Lets time pass: the wall clock goes on, and the sleeps that are due by then end, in the order of their times. */
  advance(durationMs: number): void {
    this.#elapsedMs += durationMs
    this.#nowMs += durationMs
    const due = this.#sleepers.filter(({ dueMs }) => dueMs <= this.#elapsedMs)
    this.#sleepers = this.#sleepers.filter(({ dueMs }) => dueMs > this.#elapsedMs)
    for (const { wake } of due.sort((left, right) => left.dueMs - right.dueMs)) wake()
  }

  /** How many sleeps have not ended. */
  get sleeping(): number {
    return this.#sleepers.length
  }
}
