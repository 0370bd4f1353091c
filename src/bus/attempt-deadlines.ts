import type { Runtime } from '../core/runtime.ts'

/**
 * Ends attempts that take too long. Attempts that begin in one turn of the event loop share one timer, and where all of
 * them have ended by its end, as most do, there is none: a timer for each costs more than a short handler.
 */
export class AttemptDeadlines {
  readonly timeoutMs: number
  readonly #runtime: Pick<Runtime, 'sleep' | 'spawn'>
  #opened: Batch | undefined

  constructor(runtime: Pick<Runtime, 'sleep' | 'spawn'>, timeoutMs: number) {
    this.#runtime = runtime
    this.timeoutMs = timeoutMs
  }

  /** Calls `expired` once the time is over, at most a turn later, unless what this gives is called before. */
  begin(expired: () => void): () => void {
    const batch = this.#opened ?? this.#open()
    batch.running.add(expired)
    return () => {
      batch.running.delete(expired)
      if (batch.running.size === 0) batch.timer?.abort('ended')
    }
  }

  #open(): Batch {
    const batch: Batch = { running: new Set(), timer: undefined }
    this.#opened = batch
    this.#runtime.spawn('deadline of attempts', async () => {
      await this.#runtime.sleep(0)
      this.#opened = undefined
      if (batch.running.size === 0) return
      batch.timer = new AbortController()
      const isOver = await this.#runtime.sleep(this.timeoutMs, batch.timer.signal).then(
        () => true,
        () => false,
      )
      if (isOver) for (const expired of [...batch.running]) expired()
    })
    return batch
  }
}

interface Batch {
  readonly running: Set<() => void>
  timer: AbortController | undefined
}
