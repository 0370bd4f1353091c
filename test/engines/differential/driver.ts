import { isMillraceError } from '../../../src/core/errors.ts'
import { encodeEvent } from '../../../src/core/event-codec.ts'
import type { Claim, Entry, LogEngine, Membership, Place } from '../../../src/log/port.ts'
import { groups, type Operation, type PlannedEntry } from './operations.ts'

/** What an operation has given, as JSON. */
export type Answer = { readonly gave: unknown } | { readonly failed: string }

const everything = { records: 1_000_000, bytes: 1_000_000_000 }
const highestKey = '\u{10ffff}'

/** Does operations on an engine, as the one member of every group. */
export class Driver {
  readonly #engine: LogEngine
  readonly #memberships = new Map<string, Membership>()
  readonly #claims = new Map<string, Claim>()
  #waiting: (() => void)[] = []

  private constructor(engine: LogEngine) {
    this.#engine = engine
  }

  static async on(engine: LogEngine): Promise<Driver> {
    const driver = new Driver(engine)
    for (const group of groups) await driver.#join(group)
    return driver
  }

  /** The epoch of every claim that was given last, in the order of the claims' names. */
  epochs(): readonly number[] {
    return [...this.#claims].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, { epoch }]) => epoch)
  }

  close(): Promise<void> {
    return this.#engine.close()
  }

  async perform(operation: Operation): Promise<Answer> {
    return (await this.bind(operation))()
  }

  /** Looks up what the operation is about as of now; the answer makes the call. */
  async bind(operation: Operation): Promise<() => Promise<Answer>> {
    const call = await this.#callOf(operation)
    return async () => {
      try {
        return { gave: (await call()) ?? null }
      } catch (error) {
        if (isMillraceError(error)) return { failed: error.code }
        if (error instanceof TypeError) return { failed: 'TypeError' }
        throw error
      }
    }
  }

  /** All that can be read. */
  async snapshot(): Promise<object> {
    const places: Record<string, unknown> = {}
    const listed = await this.#engine.listTopics()
    for (const { name: topic } of listed) {
      for (let partition = 0; partition < this.#engine.partitions; partition += 1) {
        const at = { topic, partition }
        const { start } = await this.#engine.bounds(at)
        const limits = everything
        places[`${topic}/${partition}`] = [start, await this.#read({ kind: 'read', at, from: start, limits })]
      }
    }
    const states: Record<string, unknown> = {}
    for (const group of groups) {
      for (let partition = 0; partition < this.#engine.partitions; partition += 1) {
        const claim = await this.#claim(group, partition)
        const pairs = await claim.range({ from: '', to: highestKey, limit: 1_000_000 })
        states[`${group}/${partition}`] = pairs.map(({ key, value }) => [key, textOf(value)])
      }
    }
    return { topics: listed, places, states }
  }

  async #callOf(operation: Operation): Promise<() => Promise<unknown>> {
    const engine = this.#engine
    switch (operation.kind) {
      case 'createTopic': {
        const { topic, maxAgeMs } = operation
        return () => engine.createTopic(topic, { retention: { maxAgeMs } })
      }
      case 'deleteTopic':
        return () => engine.deleteTopic(operation.topic)
      case 'listTopics':
        return () => engine.listTopics()
      case 'append':
        return () => engine.append(operation.entries.map(entryOf))
      case 'read':
        return () => this.#read(operation)
      case 'bounds':
        return () => this.#bounds(operation.at)
      case 'offsetAt':
        return () => engine.offsetAt(operation.at, operation.timeMs)
      case 'trim':
        return this.#trim(operation)
      case 'rejoin':
        return () => this.#rejoin(operation.group)
      default:
        return this.#claimCall(operation, await this.#claim(operation.group, operation.partition))
    }
  }

  #claimCall(
    operation: Extract<Operation, { kind: 'commit' | 'get' | 'range' }>,
    claim: Claim,
  ): () => Promise<unknown> {
    switch (operation.kind) {
      case 'commit': {
        const puts = operation.puts.map(([key, text]) => ({ key, value: bytesOf(text) }))
        const { deletes, needs } = operation
        return () => claim.commit({ puts, deletes, needs, appends: operation.appends.map(entryOf) })
      }
      case 'get':
        return async () => (await claim.get(operation.keys)).map((value) => value && textOf(value))
      case 'range':
        return async () => (await claim.range(operation)).map(({ key, value }) => [key, textOf(value)])
    }
  }

  async #read({ at, from, limits }: Extract<Operation, { kind: 'read' }>): Promise<unknown> {
    const { records, next } = await this.#engine.read(at, from, limits)
    return { next, records: records.map(({ offset, timeMs, value }) => [offset, timeMs, textOf(value)]) }
  }

  /** Without the bytes, which are "approximately" those that are stored: an engine may count its own beside them. */
  async #bounds(at: Place): Promise<unknown> {
    const { start, end } = await this.#engine.bounds(at)
    return { start, end }
  }

  /**
   * Bounds to what there is now, since calls in flight may or may not be seen by a trim; and turns a number of records into
   * the bytes by which this engine counts them.
   */
  async #trim({ at, before, beforeTimeMs, keepRecords }: Extract<Operation, { kind: 'trim' }>) {
    const bounds = await this.#engine.bounds(at).catch(() => undefined)
    const keepBytes = keepRecords === undefined || !bounds ? undefined : await this.#bytesOf(at, keepRecords)
    return () =>
      this.#engine.trim(at, {
        ...(before === undefined ? {} : { before: Math.min(before, bounds?.end ?? before) }),
        ...(beforeTimeMs === undefined ? {} : { beforeTimeMs }),
        ...(keepBytes === undefined ? {} : { keepBytes }),
      })
  }

  async #bytesOf(at: Place, count: number): Promise<number> {
    const { start, bytes } = await this.#engine.bounds(at)
    const { records } = await this.#engine.read(at, start, everything)
    const sizes = records.map(({ value }) => value.length)
    const beside = records.length === 0 ? 0 : (bytes - sum(sizes)) / records.length
    const kept = sizes.slice(Math.max(0, sizes.length - count))
    return sum(kept) + kept.length * beside
  }

  async #rejoin(group: string): Promise<void> {
    await this.#memberships.get(group)?.leave()
    await this.#join(group)
  }

  async #join(group: string): Promise<void> {
    const membership = await this.#engine.join(group, { id: 'one' }, (claim) => this.#take(claim))
    this.#memberships.set(group, membership)
  }

  #take(claim: Claim): void {
    const name = `${claim.group}/${claim.partition}`
    const before = this.#claims.get(name)?.epoch ?? 0
    if (claim.epoch <= before) throw new Error(`epoch ${claim.epoch} of ${name} comes after ${before}`)
    this.#claims.set(name, claim)
    for (const look of this.#waiting.splice(0)) look()
  }

  /** The claim that is held, once there is one: after a failed commit it is given anew. */
  async #claim(group: string, partition: number): Promise<Claim> {
    for (;;) {
      const claim = this.#claims.get(`${group}/${partition}`)
      if (claim !== undefined && !claim.signal.aborted) return claim
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}

function entryOf({ topic, partition, text, timeMs, id }: PlannedEntry): Entry {
  const value = encodeEvent({
    specversion: '1.0',
    id: id ?? text,
    source: 'course',
    type: 'course.made',
    time: new Date(timeMs).toISOString(),
    data: text,
  })
  return {
    topic,
    partition,
    value,
    timeMs,
    ...(id === undefined ? {} : { deduplicationId: `course ${id}` }),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

function textOf(value: Uint8Array): string {
  return Buffer.from(value).toString()
}
