import type { Round } from './row.ts'

/** How many calls are on their way at once where a row does not say. */
export const inFlight = 1_000

/**
 * A closed loop: so many calls on their way at all times, for so long; then waits for `until`. The rate counts the whole
 * time. The generator's part is what its calls take when there is nothing behind them, measured beforehand.
 */
export async function closedLoop(
  call: (n: number) => Promise<unknown>,
  options: {
    readonly seconds: number
    readonly inFlight?: number
    readonly from?: number
    readonly until?: () => Promise<void>
    /** How many events one call brings. */
    readonly weight?: number
  },
): Promise<Round & { readonly calls: number }> {
  const { seconds, until, weight = 1, from = 0 } = options
  const startedMs = performance.now()
  const calls = await loop(call, { inFlight: options.inFlight ?? inFlight, seconds, from })
  await until?.()
  const elapsedMs = performance.now() - startedMs
  const generatorShare = ((await generatorMs()) * calls) / elapsedMs
  return { calls, figures: { rate: (calls * weight * 1000) / elapsedMs }, generatorShare }
}

async function loop(
  call: (n: number) => Promise<unknown>,
  options: { readonly inFlight: number; readonly seconds: number; readonly from: number },
): Promise<number> {
  const untilMs = performance.now() + options.seconds * 1000
  let next = options.from
  const worker = async () => {
    while (performance.now() < untilMs) await call(next++)
  }
  await Promise.all(Array.from({ length: options.inFlight }, worker))
  return next - options.from
}

let measuredMs: Promise<number> | undefined

/** What one call of the loop costs by itself, in milliseconds of its core: the data made, the promise awaited. */
function generatorMs(): Promise<number> {
  measuredMs ??= (async () => {
    await loop(async (n) => sample(n), { inFlight, seconds: 0.2, from: 0 })
    const seconds = 0.2
    return (seconds * 1000) / (await loop(async (n) => sample(n), { inFlight, seconds, from: 0 }))
  })()
  return measuredMs
}

/** The data of the nth event: so much that its JSON, with the attributes of an event, has about 250 bytes. */
export function sample(n: number): { key: string; n: number; pad: string } {
  return { key: `k${n % 10_000}`, n, pad }
}

const pad = 'x'.repeat(80)

/** The nth event as a peer stores it: the same JSON that ours stores. */
export function sampleJson(n: number): string {
  const data = sample(n)
  return JSON.stringify({
    specversion: '1.0',
    id: `e${n}`,
    source: 'bench',
    type: 'bench.measured',
    time: new Date().toISOString(),
    partitionkey: data.key,
    data,
  })
}

/** One call after the other for so long: how long each took, in milliseconds. */
export async function oneByOne(
  call: (n: number) => Promise<number | undefined>,
  options: { readonly seconds: number; readonly from: number },
): Promise<number[]> {
  const untilMs = performance.now() + options.seconds * 1000
  const tookMs: number[] = []
  for (let n = options.from; performance.now() < untilMs; n += 1) {
    const startedMs = performance.now()
    const own = await call(n)
    tookMs.push(own ?? performance.now() - startedMs)
  }
  return tookMs
}

/** The value that so large a part of all values does not exceed; 0 where there are none. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

/** The middle one of all values. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** The figures of a latency. */
export function latencyFigures(tookMs: readonly number[]): Readonly<Record<string, number>> {
  return { p50: quantile(tookMs, 0.5), p99: quantile(tookMs, 0.99) }
}
