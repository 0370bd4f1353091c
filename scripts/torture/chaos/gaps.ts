/** For how long, while something failed and until all went on, nothing came of what publishers and handlers did. */
export interface Gap {
  readonly fault: string
  /** The longest time in which no publish was acknowledged, in milliseconds. */
  readonly publishMs: number
  /** The longest time in which no event of the partition that was worst off was handled, in milliseconds. */
  readonly handleMs: number
  /** How many publishes were refused meanwhile, by code. */
  readonly refused: Readonly<Record<string, number>>
}

const perMs = 1_000_000

/** Remembers when something went well. */
export class GapMeter {
  readonly #acknowledged: number[] = []
  readonly #refused: { readonly code: string; readonly atNs: number }[] = []
  readonly #handled: number[][]
  readonly #windows: { readonly fault: string; readonly fromNs: number; readonly toNs: number }[] = []

  constructor(partitions: number) {
    this.#handled = Array.from({ length: partitions }, () => [])
  }

  acknowledged(): void {
    this.#acknowledged.push(nowNs())
  }

  refused(code: string): void {
    this.#refused.push({ code, atNs: nowNs() })
  }

  handled({ partitions, atNs }: { readonly partitions: readonly number[]; readonly atNs: number }): void {
    for (const partition of partitions) this.#handled[partition]?.push(atNs)
  }

  /** Who has not gone on since a time, of publishers and the handlers of every partition, for people. */
  standingStillSince(sinceNs: number): readonly string[] {
    const partitions = this.#handled.map((times, partition) => [`partition ${partition}`, times] as const)
    return [['publishers', this.#acknowledged] as const, ...partitions]
      .filter(([, times]) => (times.at(-1) ?? 0) <= sinceNs)
      .map(([name]) => name)
  }

  /** Something failed at a time, and all have gone on by now. */
  failed(fault: string, fromNs: number): void {
    this.#windows.push({ fault, fromNs, toNs: nowNs() })
  }

  get gaps(): readonly Gap[] {
    return this.#windows.map(({ fault, fromNs, toNs }) => ({
      fault,
      publishMs: longest(this.#acknowledged, fromNs, toNs),
      handleMs: Math.max(...this.#handled.map((times) => longest(times, fromNs, toNs))),
      refused: this.#refusedIn(fromNs, toNs),
    }))
  }

  #refusedIn(fromNs: number, toNs: number): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { code, atNs } of this.#refused) {
      if (atNs > fromNs && atNs < toNs) counts[code] = (counts[code] ?? 0) + 1
    }
    return counts
  }
}

/** By the clock that the processes of one machine have in common. */
export function nowNs(): number {
  return Number(process.hrtime.bigint())
}

function longest(times: readonly number[], fromNs: number, toNs: number): number {
  const inside = times.filter((atNs) => atNs > fromNs && atNs < toNs).sort((one, other) => one - other)
  let longestNs = 0
  let before = fromNs
  for (const atNs of [...inside, toNs]) {
    longestNs = Math.max(longestNs, atNs - before)
    before = atNs
  }
  return longestNs / perMs
}
