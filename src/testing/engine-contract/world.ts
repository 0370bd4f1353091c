import assert from 'node:assert/strict'
import { type ErrorCode, isMillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { decodeEvent, encodeEvent } from '../../core/event-codec.ts'
import type {
  Appended,
  Change,
  Claim,
  EngineOptions,
  Entry,
  LogEngine,
  Membership,
  Place,
  StoredRecord,
} from '../../log/port.ts'
import { ManualRuntime } from '../manual-runtime.ts'
import type { EngineUnderTest, LogUnderTest } from './engine-under-test.ts'

/** Limits that no test reaches. */
export const noLimits = { records: 1_000_000, bytes: 1_000_000_000 } as const

/** What an entry can say beside its place and data. */
export interface EntryDetails {
  readonly timeMs?: number
  /** Makes the append idempotent. */
  readonly id?: string
}

/** One test's log, clock and open engines. */
export class World {
  readonly runtime: ManualRuntime
  readonly #log: LogUnderTest
  readonly #engines: LogEngine[] = []
  #events = 0

  private constructor(runtime: ManualRuntime, log: LogUnderTest) {
    this.runtime = runtime
    this.#log = log
  }

  static async create(engine: EngineUnderTest, options: EngineOptions): Promise<World> {
    const world = await World.empty(engine, options)
    await world.open()
    return world
  }

  /** A world whose log is not there yet. */
  static async empty(engine: EngineUnderTest, options: EngineOptions): Promise<World> {
    const runtime = new ManualRuntime()
    return new World(runtime, await engine.createLog({ ...options, runtime }))
  }

  /** How the log is moved. */
  get moving(): NonNullable<LogUnderTest['moving']> {
    const { moving } = this.#log
    assert(moving !== undefined, 'the log cannot be moved')
    return moving
  }

  /** The engine that was opened last. */
  get engine(): LogEngine {
    const engine = this.#engines.at(-1)
    assert(engine !== undefined, 'no engine is open')
    return engine
  }

  async open(options: EngineOptions = {}): Promise<LogEngine> {
    const engine = await this.#log.open(options)
    this.#engines.push(engine)
    return engine
  }

  async reopen(options: EngineOptions = {}): Promise<LogEngine> {
    await this.engine.close()
    return this.open(options)
  }

  checkBackground(): void {
    assert.deepEqual(this.runtime.failures, [], 'a background task of the engine failed')
  }

  async end(): Promise<void> {
    for (const engine of this.#engines) await engine.close()
    await this.#log.remove()
  }

  /** An event with this data, to be appended now. */
  entry(at: Place, data: unknown, { timeMs = this.runtime.now(), id }: EntryDetails = {}): Entry {
    this.#events += 1
    const event: Event = {
      specversion: '1.0',
      id: id ?? `event-${this.#events}`,
      source: 'contract',
      type: 'contract.tested',
      time: new Date(timeMs).toISOString(),
      data,
    }
    const value = encodeEvent(event)
    return { ...at, value, timeMs, ...(id === undefined ? {} : { deduplicationId: `contract ${id}` }) }
  }

  /** Appends one event with this data. */
  async append(at: Place, data: unknown, details: EntryDetails = {}): Promise<Appended> {
    const [appended] = await this.engine.append([this.entry(at, data, details)])
    assert(appended !== undefined, 'append gave no place for its entry')
    return appended
  }

  /** Appends events with the data 0, 1, 2… one by one; gives their offsets. */
  async appendMany(at: Place, count: number): Promise<number[]> {
    const offsets: number[] = []
    for (let index = 0; index < count; index += 1) offsets.push((await this.append(at, index)).offset)
    return offsets
  }

  /** The data of every record of a place, from its start on. */
  async dataIn(at: Place, engine: LogEngine = this.engine): Promise<unknown[]> {
    return dataOf(await recordsIn(engine, at))
  }

  async join(group: string, id = 'one', engine: LogEngine = this.engine): Promise<TestMember> {
    const member = new TestMember()
    member.membership = await engine.join(group, { id }, (claim) => member.take(claim))
    return member
  }
}

/** Every record of a place, read to the end. */
export async function recordsIn(engine: LogEngine, at: Place): Promise<StoredRecord[]> {
  const records: StoredRecord[] = []
  let { start: from } = await engine.bounds(at)
  for (;;) {
    const batch = await engine.read(at, from, noLimits)
    if (batch.records.length === 0) return records
    records.push(...batch.records)
    from = batch.next
  }
}

/** The data of each record's event. */
export function dataOf(records: readonly StoredRecord[]): unknown[] {
  return records.map(({ value }) => decodeEvent(value).data)
}

/** A member of a group that remembers the claims it was given. */
export class TestMember {
  readonly claims: Claim[] = []
  membership: Membership | undefined
  #waiting: (() => void)[] = []

  take(claim: Claim): void {
    this.claims.push(claim)
    for (const look of this.#waiting.splice(0)) look()
  }

  /** The latest claim on a partition that was given so far. */
  claim(partition: number): Claim {
    const claim = this.claims.findLast((candidate) => candidate.partition === partition)
    assert(claim !== undefined, `no claim on partition ${partition} was given`)
    return claim
  }

  /** Waits for a claim on a partition with an epoch above the given one. */
  async next(partition: number, aboveEpoch: number): Promise<Claim> {
    for (;;) {
      const found = this.claims.find((claim) => claim.partition === partition && claim.epoch > aboveEpoch)
      if (found !== undefined) return found
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  async leave(): Promise<void> {
    await this.membership?.leave()
  }
}

/** A change with only what is named. */
export function change(parts: Partial<Change>): Change {
  return { puts: [], deletes: [], appends: [], ...parts }
}

/** A key with a text as its value. */
export function put(key: string, text: string): { key: string; value: Uint8Array } {
  return { key, value: new TextEncoder().encode(text) }
}

/** A value as text; nothing stays nothing. */
export function textOf(value: Uint8Array | undefined): string | undefined {
  return value === undefined ? undefined : new TextDecoder().decode(value)
}

/** The values of keys of a claim's state, as texts. */
export async function textsAt(claim: Claim, keys: readonly string[]): Promise<(string | undefined)[]> {
  return (await claim.get(keys)).map(textOf)
}

/** Resolves when the signal is aborted. */
export function abortOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Asserts that a call rejects with an error of this code. */
export async function rejectsWith(code: ErrorCode, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: unknown) => {
    assert(isMillraceError(error, code), `expected ${code}, got ${String(error)}`)
    return true
  })
}

/** Asserts that what crosses the port can be structured-cloned. */
export function assertCloneable(value: unknown): void {
  assert.doesNotThrow(() => structuredClone(value))
}
