import { readdirSync, readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** A round waited for something for longer than it does, so nobody knows what would have become of it: no rule was broken by that. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime'
}

/** So long a round waits for anything: there to end what hangs, and far more than it takes where dozens of others use the machine. */
export const patienceMs = 600_000

/** What a promise gives. Rejects with {@link OutOfTime} where that takes longer than a round waits. */
export async function within<T>(promise: Promise<T>, what: () => string, limitMs = patienceMs): Promise<T> {
  const waiting = new AbortController()
  const late = sleep(limitMs, undefined, { signal: waiting.signal }).then(
    () => Promise.reject(new OutOfTime(`${inSeconds(limitMs)} were too short for ${what()}`)),
    () => new Promise<never>(() => {}),
  )
  try {
    return await Promise.race([promise, late])
  } finally {
    waiting.abort()
  }
}

/** As `600 s`. */
export function inSeconds(durationMs: number): string {
  return `${Number((durationMs / 1000).toFixed(1))} s`
}

const perMs = 1_000_000

/** What a process does from now on: whoever was waited for in vain had no processor, or nothing to do. */
export class Effort {
  readonly #pid: number
  readonly #before: readonly [ranMs: number, waitedMs: number]

  constructor(pid: number) {
    this.#pid = pid
    this.#before = effortOf(pid)
  }

  /** How long it has run since, in milliseconds. */
  get ranMs(): number {
    return effortOf(this.#pid)[0] - this.#before[0]
  }

  /** For people; empty where the system does not tell. */
  toString(): string {
    const [ranMs, waitedMs] = effortOf(this.#pid)
    if (ranMs === 0) return ''
    const [before, waitedBefore] = this.#before
    const ran = inSeconds(Math.max(0, ranMs - before))
    const waited = inSeconds(Math.max(0, waitedMs - waitedBefore))
    return `in which it ran for ${ran} and waited for a processor for ${waited}, at a load of ${loadavg()[0]?.toFixed(0)}`
  }
}

/** How long the threads of a process have run, and waited to run, as Linux counts it. */
function effortOf(pid: number): readonly [ranMs: number, waitedMs: number] {
  let [ran, waited] = [0, 0]
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const numbers = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ').map(Number)
      ran += numbers[0] ?? 0
      waited += numbers[1] ?? 0
    }
  } catch {
    // It has ended, or one of its threads just has, or this is not Linux.
  }
  return [ran / perMs, waited / perMs]
}
