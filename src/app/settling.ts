import type { GroupProcessor } from '../bus/group-processor.ts'
import { Wake } from '../bus/wake.ts'
import { isMillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { LogEngine, Offset } from '../log/port.ts'

const askAgainMs = 100

/** What {@link Settling} looks at. */
export interface SettlingTools {
  readonly engine: LogEngine
  readonly runtime: Runtime
  readonly groups: ReadonlyMap<string, GroupProcessor>
  /** Aborted when the application stops. */
  readonly signal: AbortSignal
}

/** Waits until the groups of an application have done all that is in the log. */
export class Settling {
  readonly #tools: SettlingTools
  readonly #waiting = new Set<Wake>()

  constructor(tools: SettlingTools) {
    this.#tools = tools
  }

  /** Something has gone on: whoever waits looks again. */
  progressed(): void {
    for (const wake of this.#waiting) wake.notify()
  }

  /** Resolves once everything is done; rejects with the reason of the signal, or with `LOG_CLOSED` when the application stops. */
  async wait(signal?: AbortSignal): Promise<void> {
    const wake = new Wake()
    const onAbort = () => wake.notify()
    this.#waiting.add(wake)
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      for (;;) {
        const settled = await this.#isSettled().catch(notKnown)
        signal?.throwIfAborted()
        // What has been given up owns nothing any more, and looks settled.
        this.#tools.signal.throwIfAborted()
        if (settled === true) return
        if (settled === false) await wake.wait()
        else await wake.waitAtMost(askAgainMs, this.#tools.runtime)
      }
    } finally {
      this.#waiting.delete(wake)
      signal?.removeEventListener('abort', onAbort)
    }
  }

  async #isSettled(): Promise<boolean> {
    const before = await this.#ends()
    const settled = [...this.#tools.groups.values()].every((group) => {
      return group.isSettled((partition) => before.get(partition) ?? new Map())
    })
    if (!settled) return false
    const after = await this.#ends()
    return [...after].every(([partition, ends]) => {
      return [...ends].every(([topic, end]) => before.get(partition)?.get(topic) === end)
    })
  }

  /** The ends of all places that are read here, by partition. */
  async #ends(): Promise<Map<number, Map<string, Offset>>> {
    const { engine, groups } = this.#tools
    const ends = new Map<number, Map<string, Offset>>()
    for (const group of groups.values()) {
      for (const [partition, topics] of group.owned) {
        const ofPartition = ends.get(partition) ?? new Map<string, Offset>()
        ends.set(partition, ofPartition)
        for (const topic of topics) ofPartition.set(topic, (await engine.bounds({ topic, partition })).end)
      }
    }
    return ends
  }
}

/** Nothing is known while the log cannot be asked; whatever else fails is thrown on. */
function notKnown(error: unknown): undefined {
  if (!isMillraceError(error) || !error.retryable) throw error
}
