/** How long attempts took, in milliseconds. */
export interface DurationSummary {
  readonly medianMs: number
  readonly longestMs: number
}

const kept = 64

/** How long the last attempts took: a fixed number of them, so that keeping them costs next to nothing. */
export class RecentDurations {
  readonly #durationsMs = new Float64Array(kept)
  #count = 0

  /** Takes note of one; a clock that was set back meanwhile makes it 0. */
  add(durationMs: number): void {
    this.#durationsMs[this.#count % kept] = Math.max(0, durationMs)
    this.#count += 1
  }

  /** Those that are kept, in no order. */
  get all(): Float64Array {
    return this.#durationsMs.subarray(0, Math.min(this.#count, kept))
  }
}

/** The middle and the longest of all that several have kept; undefined when there are none. */
export function summarizeDurations(several: readonly RecentDurations[]): DurationSummary | undefined {
  const sorted = several.flatMap(({ all }) => [...all]).sort((a, b) => a - b)
  const longestMs = sorted.at(-1)
  const medianMs = sorted[(sorted.length - 1) >> 1]
  return longestMs === undefined || medianMs === undefined ? undefined : { medianMs, longestMs }
}
