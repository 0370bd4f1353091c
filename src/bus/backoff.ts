/** How long is waited after failures that follow one another: doubled for each, up to a bound. */
export const backoffRules = { firstMs: 100, maxMs: 10_000 } as const

interface Failures {
  readonly count: number
  readonly atMs: number
}

/** Counts failures by partition. One that has gone well for twice the longest wait begins anew. */
export class Backoff {
  readonly #failures = new Map<number, Failures>()

  /** Takes note of a failure. */
  failed(partition: number, nowMs: number): void {
    const count = (this.#recent(partition, nowMs)?.count ?? 0) + 1
    this.#failures.set(partition, { count, atMs: nowMs })
  }

  /** How long to wait before a partition is taken again; 0 where it has not failed lately. */
  delayMs(partition: number, nowMs: number): number {
    const failures = this.#recent(partition, nowMs)
    if (failures === undefined) return 0
    return Math.min(backoffRules.maxMs, backoffRules.firstMs * 2 ** (failures.count - 1))
  }

  #recent(partition: number, nowMs: number): Failures | undefined {
    const failures = this.#failures.get(partition)
    if (failures !== undefined && nowMs - failures.atMs > 2 * backoffRules.maxMs) return undefined
    return failures
  }
}
