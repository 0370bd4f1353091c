import type { Runtime } from '../core/runtime.ts'
import type { StopRegistry } from './stop-registry.ts'
import { Wake } from './wake.ts'

/** An attempt whose handler waits for something. */
export interface RunningAttempt {
  /** Its time is over. */
  expire(): void
  /** It is to stop. */
  abort(reason: unknown): void
}

/** What running attempts need. */
export interface RunningAttemptsTools<Subject, Outcome> {
  readonly runtime: Pick<Runtime, 'sleep' | 'spawn'>
  readonly stop: StopRegistry
  readonly timeoutMs: number
  /** An attempt has ended. Called as it does: what it leaves is not kept for the others. */
  complete(subject: Subject, outcome: Outcome): void
  /** Called in the same turn, once for all attempts that were completed. */
  completed(): void
}

/**
 * The attempts of one subscription that wait for something. What can be done for many of them at once is not done for each:
 * those that end in one turn of the event loop are gone on from together, those that begin in one share a timer, and where
 * all of them have ended by its end, as most do, there is none.
 */
export class RunningAttempts<Subject, Outcome> {
  readonly #tools: RunningAttemptsTools<Subject, Outcome>
  readonly #batches = new Set<Batch>()
  readonly #wake = new Wake()
  #opened: Batch | undefined
  #running = 0
  /** Some were completed, and nobody was told so far. */
  #hasCompleted = false
  #isFollowing = false

  constructor(tools: RunningAttemptsTools<Subject, Outcome>) {
    this.#tools = tools
    tools.stop.onStop((reason) => {
      for (const { attempts } of this.#batches) for (const attempt of attempts) attempt?.abort(reason)
    })
  }

  /** Why they are to stop; undefined while they are not. */
  get stopped(): StopRegistry['stopped'] {
    return this.#tools.stop.stopped
  }

  get timeoutMs(): number {
    return this.#tools.timeoutMs
  }

  /** An attempt has begun to wait: it expires once the time is over, at most a turn later. Gives what {@link end} is to be told. */
  begin(attempt: RunningAttempt): RunningPlace {
    const batch = this.#opened ?? this.#open()
    batch.attempts.push(attempt)
    batch.running += 1
    this.#running += 1
    if (!this.#isFollowing) this.#follow()
    return new RunningPlace(batch, batch.attempts.length - 1)
  }

  /** An attempt has ended, in time or not. To be called once for each. */
  end({ batch, index }: RunningPlace, subject: Subject, outcome: Outcome): void {
    batch.attempts[index] = undefined
    batch.running -= 1
    this.#running -= 1
    if (batch.running === 0 && batch !== this.#opened) this.#close(batch)
    this.#tools.complete(subject, outcome)
    this.#hasCompleted = true
    this.#wake.notify()
  }

  #follow(): void {
    this.#isFollowing = true
    this.#tools.runtime.spawn('attempts that end', async () => {
      while (this.#running > 0 || this.#hasCompleted) {
        await this.#wake.wait()
        this.#hasCompleted = false
        this.#tools.completed()
      }
      this.#isFollowing = false
    })
  }

  #open(): Batch {
    const { runtime, timeoutMs } = this.#tools
    const batch: Batch = { attempts: [], running: 0, timer: undefined }
    this.#opened = batch
    this.#batches.add(batch)
    runtime.spawn('deadline of attempts', async () => {
      await runtime.sleep(0)
      this.#opened = undefined
      if (batch.running === 0) return this.#close(batch)
      batch.timer = new AbortController()
      const isOver = await runtime.sleep(timeoutMs, batch.timer.signal).then(
        () => true,
        () => false,
      )
      if (isOver) for (const attempt of batch.attempts) attempt?.expire()
    })
    return batch
  }

  #close(batch: Batch): void {
    this.#batches.delete(batch)
    batch.timer?.abort('ended')
  }
}

/** The attempts that began in one turn. */
interface Batch {
  /** Those that have ended leave nothing behind. */
  readonly attempts: (RunningAttempt | undefined)[]
  running: number
  timer: AbortController | undefined
}

/** Where a running attempt is kept. */
export class RunningPlace {
  readonly batch: Batch
  readonly index: number

  constructor(batch: Batch, index: number) {
    this.batch = batch
    this.index = index
  }
}
