import type { RunningApp } from '../../app/running.ts'
import type { DeadLetter } from '../../bus/dead-letter.ts'
import { internalTopics } from '../../bus/internal-topics.ts'
import type { HandlerStatus } from '../../bus/status.ts'
import { Wake } from '../../bus/wake.ts'
import { keyOf } from '../../core/event.ts'
import { type FollowedRecord, Follower } from '../../gateway/live/follower.ts'
import type { Activity, SeenEvent, SeenFailure } from './messages.ts'

/** How the activity of an application is told. */
export interface ActivityOptions {
  readonly signal: AbortSignal
  tell(activity: Activity): void
}

const everyMs = 250
const kept = { events: 50, failures: 10 } as const

/**
 * Tells what happens in an application: a few times a second at most, only when something has changed, and without looking
 * while nothing goes on. Resolves when `signal` aborts.
 */
export async function watchActivity(running: RunningApp, { signal, tell }: ActivityOptions): Promise<void> {
  const seen = new Seen()
  const { runtime } = running
  signal.addEventListener('abort', () => seen.wake.notify(), { once: true })
  runtime.spawn('events of the live view', () => seen.follow(running, signal))
  runtime.spawn('work of the live view', () => seen.followInternal(running, signal))
  for (let told = ''; !signal.aborted; ) {
    const handlers = await running.status().catch(() => [])
    const text = JSON.stringify(handlers)
    const changed = text !== told || seen.hasNews
    if (changed && !signal.aborted) tell({ ...seen.take(), handlers })
    told = text
    if (changed || handlers.some(isBusy)) await runtime.sleep(everyMs, signal).catch(() => {})
    else await seen.wake.waitAtMost(Math.max(everyMs, nextDueMs(handlers) - runtime.now()), runtime)
  }
}

/** Whether it changes by itself, without any news of the log. */
function isBusy({ inFlight, waiting }: HandlerStatus): boolean {
  return inFlight > 0 || waiting > 0
}

/** When the next parked key is tried again. */
function nextDueMs(handlers: readonly HandlerStatus[]): number {
  const due = handlers.flatMap(({ parked }) =>
    parked.sample.map(({ dueMs }) => dueMs ?? Number.POSITIVE_INFINITY),
  )
  return Math.min(Number.POSITIVE_INFINITY, ...due)
}

/** What was seen and not told yet. */
class Seen {
  readonly wake = new Wake()
  #events: SeenEvent[] = []
  #deadLetters: SeenFailure[] = []
  #passedOver = 0

  get hasNews(): boolean {
    return this.#events.length > 0 || this.#deadLetters.length > 0
  }

  take(): Omit<Activity, 'handlers'> {
    const taken = { events: this.#events, deadLetters: this.#deadLetters, passedOver: this.#passedOver }
    this.#events = []
    this.#deadLetters = []
    this.#passedOver = 0
    return taken
  }

  /** Follows what the application and its callers publish. */
  follow({ engine, runtime }: RunningApp, signal: AbortSignal): Promise<void> {
    return this.#follow(Follower.begin({ engine }), signal, ({ event }) => {
      this.#events.push({ type: event.type, key: keyOf(event), atMs: runtime.now() })
      if (this.#events.length <= kept.events) return
      this.#events.shift()
      this.#passedOver += 1
    })
  }

  /** Follows what the application has written for itself: dead letters, and whatever makes a handler work again. */
  followInternal({ app, engine, runtime }: RunningApp, signal: AbortSignal): Promise<void> {
    const groups = new Set([app.name, ...app.handlers.map(({ options }) => options.group ?? app.name)])
    const internal = [...groups].map((group) => internalTopics(group))
    const deadLetters = new Set(internal.map((topics) => topics.deadLetters))
    const topics = internal.flatMap((topics) => Object.values(topics))
    return this.#follow(Follower.begin({ engine, topics }), signal, ({ at, event }) => {
      if (!deadLetters.has(at.topic)) return
      const { handler, key, error } = event.data as DeadLetter
      this.#deadLetters.push({ handler, key, message: error.message, atMs: runtime.now() })
      if (this.#deadLetters.length > kept.failures) this.#deadLetters.shift()
    })
  }

  /** Follows until the log closes; what cannot be followed is not shown, and breaks nothing. */
  async #follow(
    beginning: Promise<Follower>,
    signal: AbortSignal,
    take: (record: FollowedRecord) => void,
  ): Promise<void> {
    try {
      const follower = await beginning
      for await (const step of follower.steps(signal)) {
        follower.pass(step)
        if ('event' in step) take(step)
        this.wake.notify()
      }
    } catch {
      this.wake.notify()
    }
  }
}
