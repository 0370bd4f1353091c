import { type Event, keyOf } from '../core/event.ts'
import { decodeEvent } from '../core/event-codec.ts'
import type { Runtime } from '../core/runtime.ts'
import { partitionOf } from '../log/partition.ts'
import type { Entry } from '../log/port.ts'
import type { Door } from './door.ts'
import { maxCommitBytes, type PartitionState, type Step } from './partition-state.ts'
import type { LogRecord } from './record-cache.ts'
import { type ArmedSchedule, rescheduled, tickEvent } from './schedule.ts'
import { dueOfTimer, stateLayout } from './state-layout.ts'
import { Wake } from './wake.ts'

/** What the timers of a partition work with. */
export interface TimerTools {
  readonly state: PartitionState
  readonly runtime: Runtime
  readonly door: Door
  readonly partitions: number
  readonly ticksTopic: string
  readonly source: string
  readonly signal: AbortSignal
  ensureTopic(name: string): Promise<void> | undefined
}

/** An event that waits for its time, as its timer keeps it. */
interface DelayedEvent {
  readonly topic: string
  readonly event: string
}

/** What a timer does when it is due: it appends an event, or removes a key that is written once and for a time. */
export type TimerDocument = DelayedEvent | { readonly expired: string }

/** Something else of the partition that waits for a time: the retries of a subscription. */
export interface Timed {
  nextDueMs(): number | undefined
  pump(): void
}

/** The longest sleep: the wall clock may jump, so it is looked at again now and then. */
const longestSleepMs = 60_000
const timersPerStep = 256

/**
 * One partition's waiting for time: events that are delayed, schedules that fire, keys that are tried again. All of it is
 * in the partition's state; here is only when the next of it is due.
 */
export class Timers {
  readonly #tools: TimerTools
  readonly #timed: readonly Timed[]
  readonly #wake = new Wake()
  #schedules: ArmedSchedule[]
  #nextTimerMs: number | undefined
  /** What is waited for; undefined while nothing is, or while it is not known yet. */
  #armedMs: number | undefined
  #isArmed = false

  constructor(tools: TimerTools, timed: readonly Timed[], schedules: readonly ArmedSchedule[]) {
    this.#tools = tools
    this.#timed = timed
    this.#schedules = [...schedules]
  }

  /** There may be something due earlier than what is waited for, or waiting is to end. Mostly there is nothing new. */
  notify(): void {
    if (!this.#isArmed || this.#tools.signal.aborted || this.#nextDueMs() !== this.#armedMs)
      this.#wake.notify()
  }

  /** As {@link notify}, where only this one may be due at another time: there can be a thousand of them. */
  notifyOf(timed: Timed): void {
    if (
      !this.#isArmed ||
      (timed.nextDueMs() ?? Number.POSITIVE_INFINITY) < (this.#armedMs ?? Number.POSITIVE_INFINITY)
    )
      this.#wake.notify()
  }

  /** Keys that were committed; timers among them are waited for from now on. */
  committed(keys: Iterable<string>): void {
    for (const key of keys) {
      if (!key.startsWith('timer/')) continue
      this.#nextTimerMs = Math.min(this.#nextTimerMs ?? Number.POSITIVE_INFINITY, dueOfTimer(key))
      this.#wake.notify()
    }
  }

  /** Fires what is due until the signal aborts. */
  async run(): Promise<void> {
    await this.#findNextTimer()
    while (!this.#tools.signal.aborted) {
      const nowMs = this.#tools.runtime.now()
      await this.#fire(nowMs)
      if (this.#tools.signal.aborted) return
      const dueMs = this.#nextDueMs()
      this.#armedMs = dueMs
      this.#isArmed = true
      if (dueMs === undefined) await this.#wake.wait()
      else
        await this.#wake.waitAtMost(Math.min(Math.max(1, dueMs - nowMs), longestSleepMs), this.#tools.runtime)
      this.#isArmed = false
    }
  }

  async #fire(nowMs: number): Promise<void> {
    for (const schedule of this.#schedules) this.#fireSchedule(schedule, nowMs)
    while (this.#nextTimerMs !== undefined && this.#nextTimerMs <= nowMs && !this.#tools.signal.aborted) {
      await this.#fireTimers(nowMs)
    }
    for (const timed of this.#timed)
      if ((timed.nextDueMs() ?? Number.POSITIVE_INFINITY) <= nowMs) timed.pump()
  }

  /** The firing and the next due time are one step. */
  #fireSchedule(armed: ArmedSchedule, nowMs: number): void {
    const { name, document } = armed
    if (document.dueMs === null || document.dueMs > nowMs) return
    const { state, ticksTopic, source, partitions } = this.#tools
    const { entry } = this.#tools.door.admitEvent(
      tickEvent(name, document.dueMs, source, nowMs),
      ticksTopic,
      false,
    )
    const next = rescheduled(name, document, nowMs)
    state.stage({
      puts: [[stateLayout.schedule(name), next]],
      appends: [{ ...entry, partition: partitionOf(name, partitions) }],
    })
    this.#schedules = this.#schedules.map((other) => (other.name === name ? { name, document: next } : other))
  }

  async #fireTimers(nowMs: number): Promise<void> {
    const { state } = this.#tools
    const due = await state.range('timer/', stateLayout.timersUntil(nowMs), timersPerStep)
    const deletes: string[] = []
    const appends: Entry[] = []
    let bytes = 0
    for (const { key, text } of due) {
      if (bytes >= maxCommitBytes / 2) break
      const timer = JSON.parse(text) as TimerDocument
      deletes.push(key)
      if ('expired' in timer) deletes.push(timer.expired)
      else appends.push(await this.#entryOf(timer, nowMs))
      bytes += text.length
    }
    if (deletes.length > 0) {
      state.stage({ deletes, appends })
      // The next look must not find what was just taken.
      await state.flush()
    }
    await this.#findNextTimer()
  }

  /** The entry of a delayed event, which passed the door when it was published or emitted. */
  async #entryOf({ topic, event }: DelayedEvent, nowMs: number): Promise<Entry> {
    await this.#tools.ensureTopic(topic)
    const value = new TextEncoder().encode(event)
    const partition = partitionOf(keyOf(decodeEvent(value)), this.#tools.partitions)
    return { topic, partition, value, timeMs: nowMs }
  }

  async #findNextTimer(): Promise<void> {
    this.#nextTimerMs = undefined
    const [next] = await this.#tools.state.range('timer/', 'timer0', 1)
    if (next === undefined) return
    this.#nextTimerMs = Math.min(this.#nextTimerMs ?? Number.POSITIVE_INFINITY, dueOfTimer(next.key))
  }

  #nextDueMs(): number | undefined {
    let next = this.#nextTimerMs ?? Number.POSITIVE_INFINITY
    for (const { document } of this.#schedules) next = Math.min(next, document.dueMs ?? next)
    for (const timed of this.#timed) next = Math.min(next, timed.nextDueMs() ?? next)
    return next === Number.POSITIVE_INFINITY ? undefined : next
  }
}

/** The step that keeps a delayed event until it is due. Its place names the timer: ids are unique in their source only. */
export function delayStep(delayed: Event, { offset }: LogRecord): Step {
  const { dueMs, topic, event } = delayed.data as { dueMs: number; topic: string; event: string }
  return { puts: [[stateLayout.timer(dueMs, String(offset)), JSON.stringify({ topic, event })]] }
}
