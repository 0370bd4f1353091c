import { afterEach } from 'vitest'
import { type AppOptions, app } from '../../src/app/app.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { start } from '../../src/app/start.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { type Logger, silentLogger } from '../../src/core/runtime.ts'
import { openMemory } from '../../src/engines/memory/index.ts'

const ends: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Runs `end` when the test has ended, the last one first. */
export function endAfterTest(end: () => Promise<void>): void {
  ends.push(end)
}

/** A line that was logged. */
export interface LogLine {
  readonly level: string
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** A logger that keeps its lines. */
export function keepingLogger(): { readonly logger: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const take = (level: string) => (fields: object, message: string) => {
    lines.push({ level, fields: fields as LogLine['fields'], message })
  }
  return {
    lines,
    logger: { debug: take('debug'), info: take('info'), warn: take('warn'), error: take('error') },
  }
}

/** How {@link startInMemory} starts. */
export interface StartInMemory {
  readonly logger?: Logger
  /** Fails calls of the engine by name, such as `append:apply`. */
  readonly fault?: (name: string) => Error | undefined
}

/** Starts an application on a log in memory with four partitions, until the test ends. */
export async function startInMemory(options: AppOptions, how: StartInMemory = {}): Promise<RunningApp> {
  const { logger = silentLogger, fault } = how
  const faulty = fault && openMemory({ runtime: realRuntime(), partitions: 4, fault })
  if (faulty !== undefined) endAfterTest(() => faulty.close())
  const running = await start(app(options), { log: faulty ?? 'memory:', partitions: 4, logger })
  endAfterTest(() => running.stop())
  return running
}
