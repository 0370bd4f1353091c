import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine, Offset, Place } from '../log/port.ts'

/** How often retention is looked after, in milliseconds: */
const longestMs = 60_000
/** more often where more than so many records are trimmed at a time, */
const recordsAtOnce = 50_000
/** but no more often than that. */
const shortestMs = 1_000

/** What retention is kept with. */
export interface RetentionTools {
  readonly runtime: Runtime
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Whether the engine knows what every group of the application needs of a place. */
  readonly mayTrim: (at: Place) => boolean
}

/**
 * Trims topics that have a retention until the signal aborts: once a minute, and the more often the more there is to trim, up to once a
 * second, since a log that is trimmed late takes the more room, and what a minute of full load leaves is much to
 * free at once. The engine never trims past what a group has said that it needs, and a group says so when its partition is first at
 * work: until then the place is left alone.
 */
export async function keepRetention(engine: LogEngine, tools: RetentionTools): Promise<void> {
  const { runtime, logger, signal } = tools
  const starts = new Map<string, Offset>()
  let intervalMs = longestMs
  for (;;) {
    await runtime.sleep(intervalMs, signal).catch(() => {})
    if (signal.aborted) return
    try {
      intervalMs = nextInterval(intervalMs, await applyRetention(engine, tools, starts))
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, 'retention could not be applied; it is tried again')
    }
  }
}

/** After how long there will be as many to trim as should be at once, by what there was now. */
function nextInterval(intervalMs: number, trimmed: number): number {
  const aimMs = (intervalMs * recordsAtOnce) / Math.max(trimmed, 1)
  return Math.min(Math.max(aimMs, shortestMs), 2 * intervalMs, longestMs)
}

/** Gives how many records were trimmed, by offsets; the first time, how many ever were. `starts` has where places began by then. */
async function applyRetention(
  engine: LogEngine,
  { runtime, mayTrim }: RetentionTools,
  starts: Map<string, Offset>,
): Promise<number> {
  let trimmed = 0
  for (const { name, options } of await engine.listTopics()) {
    const { maxAgeMs, maxBytes } = options.retention ?? {}
    if (maxAgeMs === undefined && maxBytes === undefined) continue
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      const at = { topic: name, partition }
      if (!mayTrim(at)) continue
      const named = `${partition}/${name}`
      const start = await engine.trim(at, {
        ...(maxAgeMs === undefined ? {} : { beforeTimeMs: runtime.now() - maxAgeMs }),
        ...(maxBytes === undefined ? {} : { keepBytes: maxBytes }),
      })
      trimmed += start - (starts.get(named) ?? 0)
      starts.set(named, start)
    }
  }
  return trimmed
}
