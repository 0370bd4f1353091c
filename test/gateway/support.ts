import { type AppOptions, app } from '../../src/app/app.ts'
import type { RunningApp } from '../../src/app/running.ts'
import { Door } from '../../src/bus/door.ts'
import { Publisher } from '../../src/bus/publisher.ts'
import { RecordCache } from '../../src/bus/record-cache.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { type Logger, silentLogger } from '../../src/core/runtime.ts'
import { openMemory } from '../../src/engines/memory/index.ts'

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

/** Starts an application on a log in memory with four partitions; stop it when done. */
export async function startInMemory(options: AppOptions, how: StartInMemory = {}): Promise<RunningApp> {
  const made = app(options)
  const runtime = realRuntime()
  const fault = how.fault === undefined ? {} : { fault: how.fault }
  const engine = openMemory({ runtime, partitions: 4, ...fault })
  const topics = new Set([made.name, ...[...made.events.values()].map((type) => type.topic ?? made.name)])
  for (const topic of topics) await engine.createTopic(topic, made.topics[topic] ?? {})
  const door = new Door({ runtime, partitions: 4, source: made.name, topic: made.name })
  const publisher = new Publisher({
    engine,
    runtime,
    door,
    cache: new RecordCache(),
    events: made.events,
    delayedTopic: 'millrace.delayed',
  })
  let ready = true
  return {
    app: made,
    engine,
    runtime,
    logger: how.logger ?? silentLogger,
    publish: (type, data, publishOptions) => publisher.publish(type, data, publishOptions),
    accept: (events, acceptOptions) => publisher.accept(events, acceptOptions?.topic),
    read: async () => ({}) as never,
    status: async () => [],
    get ready() {
      return ready
    },
    settled: async () => {},
    async stop() {
      ready = false
      await engine.close()
    },
  }
}
