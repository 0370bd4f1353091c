import { randomFillSync } from 'node:crypto'
import type { Runtime } from './runtime.ts'
import { uuidv7 } from './uuid.ts'

/** Options of {@link realRuntime}. */
export interface RealRuntimeOptions {
  /** Called when a background task rejects, which is always a defect. Writes to standard error unless given. */
  readonly onTaskFailed?: (name: string, error: unknown) => void
}

const bytesPerId = 10
const longestTimerMs = 2 ** 31 - 1

/** The runtime of a real process: the system's clock, timers and random numbers. */
export function realRuntime(options: RealRuntimeOptions = {}): Runtime {
  const onTaskFailed =
    options.onTaskFailed ??
    ((name: string, error: unknown) => {
      process.stderr.write(`millrace: background task ${name} failed: ${String(error)}\n`)
    })
  const randomBytes = randomPool()
  return {
    now: () => Date.now(),
    sleep: (durationMs, signal) => sleep(durationMs, signal),
    random: () => Math.random(),
    id: () => uuidv7(Date.now(), randomBytes()),
    spawn(name, task) {
      task().catch((error: unknown) => onTaskFailed(name, error))
    },
  }
}

/** Random bytes for one id at a time, drawn from the system for several hundred at once. */
function randomPool(): () => Uint8Array {
  const pool = new Uint8Array(bytesPerId * 400)
  let used = pool.length
  return () => {
    if (used === pool.length) {
      randomFillSync(pool)
      used = 0
    }
    used += bytesPerId
    return pool.subarray(used - bytesPerId, used)
  }
}

function sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      },
      Math.min(Math.max(0, durationMs), longestTimerMs),
    )
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
