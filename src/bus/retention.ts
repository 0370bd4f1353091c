import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine, Place } from '../log/port.ts'

/** How often retention is looked after, in milliseconds. */
const intervalMs = 60_000

/** What retention is kept with. */
export interface RetentionTools {
  readonly runtime: Runtime
  readonly logger: Logger
  readonly signal: AbortSignal
  /** Whether the engine knows what every group of the application needs of a place. */
  readonly mayTrim: (at: Place) => boolean
}

/**
 * Trims topics that have a retention, once a minute, until the signal aborts. The engine never trims past what a group has
 * said that it needs, and a group says so when its partition is first at work: until then the place is left alone.
 */
export async function keepRetention(engine: LogEngine, tools: RetentionTools): Promise<void> {
  const { runtime, logger, signal } = tools
  for (;;) {
    await runtime.sleep(intervalMs, signal).catch(() => {})
    if (signal.aborted) return
    try {
      await applyRetention(engine, tools)
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, 'retention could not be applied; it is tried again')
    }
  }
}

async function applyRetention(engine: LogEngine, { runtime, mayTrim }: RetentionTools): Promise<void> {
  for (const { name, options } of await engine.listTopics()) {
    const { maxAgeMs, maxBytes } = options.retention ?? {}
    if (maxAgeMs === undefined && maxBytes === undefined) continue
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      const at = { topic: name, partition }
      if (!mayTrim(at)) continue
      await engine.trim(at, {
        ...(maxAgeMs === undefined ? {} : { beforeTimeMs: runtime.now() - maxAgeMs }),
        ...(maxBytes === undefined ? {} : { keepBytes: maxBytes }),
      })
    }
  }
}
