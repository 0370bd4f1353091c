import { afterEach, expect } from 'vitest'
import { z } from 'zod'
import { type AnyHandlerDefinition, type AppOptions, app } from '../../src/app/app.ts'
import type { RunningApp, StartOptions } from '../../src/app/running.ts'
import { start } from '../../src/app/start.ts'
import type { DeadLetter } from '../../src/bus/dead-letter.ts'
import { type RedriveRequest, redriveType, requestEntry } from '../../src/bus/dead-letter-requests.ts'
import type { HandlerStatus } from '../../src/bus/status.ts'
import { type Event, event } from '../../src/core/event.ts'
import { decodeEvent } from '../../src/core/event-codec.ts'
import { type MemoryEngine, MemoryLog, openMemory } from '../../src/engines/memory/index.ts'
import { partitionOf } from '../../src/log/partition.ts'
import type { LogEngine } from '../../src/log/port.ts'
import { ManualRuntime } from '../../src/testing/manual-runtime.ts'
import { turn } from '../../src/testing/turn.ts'

const counted = z.object({ key: z.string(), n: z.number() })
/** What most tests publish: the n-th event of a key. */
export const Counted = event('test.counted', { schema: counted, key: ({ key }) => key })
/** What most tests emit. */
export const Echoed = event('test.echoed', { schema: counted, key: ({ key }) => key })
/** Of the same keys, in a topic of its own. */
export const Aside = event('test.aside', { schema: counted, key: ({ key }) => key, topic: 'aside' })

/** The application of the tests, its group and its topic. */
export const shop = 'shop'

/** How {@link Bench.start} starts a process. */
export interface BenchStart extends Partial<AppOptions> {
  readonly handlers?: readonly AnyHandlerDefinition[]
  readonly partitions?: number
  readonly options?: StartOptions
  /** Fails calls of the engine by the name of their step, such as `commit:apply`. */
  readonly fault?: (name: string) => Error | undefined
  /** Puts something around the engine. */
  readonly around?: (engine: MemoryEngine) => LogEngine
}

/** One log in memory and virtual time, with the processes that a test starts on them. */
export class Bench {
  readonly runtime = new ManualRuntime()
  readonly log = new MemoryLog()
  readonly #running = new Set<RunningApp>()
  #reader: MemoryEngine | undefined

  /** Starts a process; one partition unless given. */
  async start(how: BenchStart = {}): Promise<RunningApp> {
    const { partitions = 1, options = {}, fault, around, ...appOptions } = how
    const { runtime, log } = this
    const engine = openMemory({ runtime, log, partitions, ...(fault === undefined ? {} : { fault }) })
    const started = start(app({ name: shop, events: [Counted, Echoed, Aside], ...appOptions }), {
      log: around === undefined ? engine : around(engine),
      runtime,
      ...options,
    })
    const running = await this.drive(started)
    this.#running.add(running)
    return running
  }

  /** Stops a process. */
  async stop(running: RunningApp, options: { readonly now?: boolean } = {}): Promise<void> {
    this.#running.delete(running)
    await this.drive(running.stop(options))
  }

  /** Leaves a process alone that has crashed: nothing of it ever ends. */
  forget(running: RunningApp): void {
    this.#running.delete(running)
  }

  /** Stops everything, and expects that no background task failed. */
  async end(): Promise<void> {
    for (const running of [...this.#running]) await this.stop(running, { now: true })
    expect(this.runtime.failures).toEqual([])
  }

  /** Lets time pass in small steps until the condition holds; fails when it does not within a bound. */
  async until(
    condition: () => boolean | Promise<boolean>,
    { stepMs = 20, steps = 5_000 }: { readonly stepMs?: number; readonly steps?: number } = {},
  ): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      if (await condition()) return
      this.runtime.advance(stepMs)
      await turn()
    }
    throw new Error(`the condition did not come true within ${stepMs * steps} ms: ${condition.toString()}`)
  }

  /** Lets time pass until a promise settles. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let ended = false
    const end = () => {
      ended = true
    }
    promise.then(end, end)
    await this.until(() => ended)
    return promise
  }

  /** Lets everything be handled. */
  settle(running: RunningApp): Promise<void> {
    return this.drive(running.settled())
  }

  /** Lets so much time pass, step by step. */
  async pass(durationMs: number, stepMs = Math.max(1, Math.ceil(durationMs / 50))): Promise<void> {
    for (let passed = 0; passed < durationMs; passed += stepMs) {
      this.runtime.advance(Math.min(stepMs, durationMs - passed))
      await turn()
      await turn()
    }
  }

  /** Lets what can happen at once happen. No time passes but what is shorter than a millisecond. */
  async quiet(turns = 20): Promise<void> {
    for (let done = 0; done < turns; done += 1) {
      this.runtime.advance(0)
      await turn()
    }
  }

  /** All events of a topic, by partition and offset. */
  async events(topic = shop): Promise<readonly Event[]> {
    this.#reader ??= openMemory({ runtime: this.runtime, log: this.log })
    const events: Event[] = []
    for (let partition = 0; partition < this.#reader.partitions; partition += 1) {
      const { start: first } = await this.#reader.bounds({ topic, partition })
      const limits = { records: 1_000_000, bytes: Number.MAX_SAFE_INTEGER }
      const { records } = await this.#reader.read({ topic, partition }, first, limits)
      for (const { value } of records) {
        try {
          events.push(decodeEvent(value))
        } catch {
          // What cannot be decoded is what some tests append on purpose.
        }
      }
    }
    return events
  }

  /** The dead letters of the application. */
  async deadLetters(): Promise<readonly DeadLetter[]> {
    return (await this.events(`millrace.${shop}.dead-letters`)).map(({ data }) => data as DeadLetter)
  }

  /** The numbers of the events of a type, in log order. */
  async numbers(type: { readonly type: string }, topic = shop): Promise<readonly number[]> {
    const events = await this.events(topic)
    return events.filter((found) => found.type === type.type).map(({ data }) => (data as { n: number }).n)
  }

  /** Appends bytes as they are. */
  async append(topic: string, value: Uint8Array, partition = 0): Promise<number> {
    const engine = openMemory({ runtime: this.runtime, log: this.log })
    const [appended] = await engine.append([{ topic, partition, value, timeMs: this.runtime.now() }])
    return appended?.offset ?? -1
  }

  /** Asks the owner of a key to hand dead letters back, all of them at once. */
  async redrive(...requests: readonly (Partial<RedriveRequest> & { readonly key: string })[]): Promise<void> {
    const { runtime, log } = this
    const entries = requests.map((request) => {
      const data = { handler: 'handler', topic: shop, offset: 0, ...request }
      const at = { topic: `millrace.${shop}.redrives`, partition: partitionOf(request.key, log.open()) }
      return requestEntry(at, { type: redriveType, data }, { source: 'test', runtime })
    })
    await openMemory({ runtime, log }).append(entries)
  }

  /** The durable keys of a partition's state under a prefix that ends in a slash. */
  state(prefix: string, { partition = 0, group = shop } = {}): Map<string, unknown> {
    const range = { from: prefix, to: `${prefix.slice(0, -1)}0`, limit: 1_000_000 }
    const found = this.log.group(group).state(partition).values.range(range)
    return new Map(found.map(({ key, value }) => [key, JSON.parse(new TextDecoder().decode(value))]))
  }
}

const benches: Bench[] = []
afterEach(async () => {
  for (const bench of benches.splice(0)) await bench.end()
})

/** A bench that is ended after the test. */
export function bench(): Bench {
  const made = new Bench()
  benches.push(made)
  return made
}

/** Publishes events of a key, `from` to `to`, and waits until they are durable. */
export async function publish(running: RunningApp, key: string, from: number, to = from): Promise<void> {
  const published: Promise<unknown>[] = []
  for (let n = from; n <= to; n += 1) published.push(running.publish(Counted, { key, n }))
  await Promise.all(published)
}

/** What a handler is doing. */
export async function statusOf(running: RunningApp, name = 'handler'): Promise<HandlerStatus> {
  const found = (await running.status()).find((status) => status.name === name)
  if (found === undefined) throw new Error(`there is no handler '${name}'`)
  return found
}

/** Something that a test opens: until then, what waits for it waits. */
export interface Gate {
  readonly opened: Promise<void>
  open(): void
}

/** A gate that is shut. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: resolve }
}

/** The numbers from `first` to `last`. */
export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index)
}
