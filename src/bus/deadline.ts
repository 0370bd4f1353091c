import type { Runtime } from '../core/runtime.ts'

/** What {@link within} waits by. */
export interface Deadline {
  readonly runtime: Pick<Runtime, 'sleep'>
  readonly timeoutMs: number
  /** Ends the wait with its reason. */
  readonly signal?: AbortSignal | undefined
  /** What it rejects with when the time is over. */
  expired(): unknown
}

/** Settles as `promise` does, unless the deadline comes first. */
export async function within<T>(promise: Promise<T>, deadline: Deadline): Promise<T> {
  const { runtime, timeoutMs, signal, expired } = deadline
  const timer = new AbortController()
  const stop = signal === undefined ? timer.signal : AbortSignal.any([signal, timer.signal])
  try {
    const overdue = runtime.sleep(timeoutMs, stop).then(() => {
      throw expired()
    })
    return await Promise.race([promise, overdue])
  } finally {
    timer.abort('ended')
  }
}
