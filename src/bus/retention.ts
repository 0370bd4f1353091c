import type { Logger, Runtime } from '../core/runtime.ts'
import type { LogEngine } from '../log/port.ts'

/** How often retention is looked after, in milliseconds. */
const intervalMs = 60_000

/**
 * Trims topics that have a retention, once a minute, until the signal aborts. The engine itself never trims past what a
 * group needs, so any number of processes may do this.
 */
export async function keepRetention(
  engine: LogEngine,
  tools: { readonly runtime: Runtime; readonly logger: Logger; readonly signal: AbortSignal },
): Promise<void> {
  const { runtime, logger, signal } = tools
  for (;;) {
    // Not at once: what a new subscription needs is known only when its partition's owner, maybe another process, has begun.
    await runtime.sleep(intervalMs, signal).catch(() => {})
    if (signal.aborted) return
    try {
      await applyRetention(engine, runtime.now())
    } catch (error) {
      if (!signal.aborted) logger.warn({ err: error }, 'retention could not be applied; it is tried again')
    }
  }
}

/** Trims every topic that has a retention, once. */
export async function applyRetention(engine: LogEngine, nowMs: number): Promise<void> {
  for (const { name, options } of await engine.listTopics()) {
    const { maxAgeMs, maxBytes } = options.retention ?? {}
    if (maxAgeMs === undefined && maxBytes === undefined) continue
    for (let partition = 0; partition < engine.partitions; partition += 1) {
      await engine.trim(
        { topic: name, partition },
        {
          ...(maxAgeMs === undefined ? {} : { beforeTimeMs: nowMs - maxAgeMs }),
          ...(maxBytes === undefined ? {} : { keepBytes: maxBytes }),
        },
      )
    }
  }
}
