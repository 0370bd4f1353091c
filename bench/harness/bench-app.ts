import { randomUUID } from 'node:crypto'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type App, type AppOptions, app, event, on, type RunningApp, start } from 'millrace'
import { z } from 'zod'
import { closedLoop, inFlight, sample } from './load.ts'
import type { Contestant, Round, Settings } from './row.ts'

/** The event that all rows publish: validated, keyed, with an id of the caller's. */
export const Measured = event('bench.measured', {
  schema: z.object({ key: z.string(), n: z.int(), pad: z.string() }),
  key: ({ key }) => key,
})

/** What handlers emit. */
export const Emitted = event('bench.emitted', { schema: z.object({ n: z.int() }) })

// Retention is on, with a bound just above the million events that the log begins with, so that it has work to do.
const topics = { bench: { retention: { maxBytes: 20 * 1024 * 1024 } } }

/** The application that rows are measured with; its topic has a retention. */
export function benchApp(options: Omit<AppOptions, 'name'> = {}): App {
  return app({ name: 'bench', events: [Measured, Emitted], topics, ...options })
}

/** A handler that does nothing; asynchronous, as most handlers are, and as that of BullMQ beside it is. */
export const noop = on(Measured, { name: 'noop', from: 'now' }, async () => {})

/** Makes ids that no round before has used. */
export function publisher(running: RunningApp): (n: number) => Promise<unknown> {
  const prefix = randomUUID().slice(0, 8)
  return (n) => running.publish(Measured, sample(n), { id: `${prefix}${n}` })
}

/** Puts so many events into a log, 1,000 in flight. `told` is called now and then with how many there are. */
export async function fill(
  running: RunningApp,
  events: number,
  told: (events: number) => void = () => {},
): Promise<void> {
  const publish = publisher(running)
  let next = 0
  const worker = async () => {
    while (next < events) {
      const n = next++
      await publish(n)
      if ((n + 1) % 10_000 === 0) told(n + 1)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, worker))
  told(events)
}

/** A log of its own for one side, filled as the run's first log was. */
export async function copyOfLog(settings: Settings): Promise<{ folder: string; remove(): Promise<void> }> {
  const folder = await mkdtemp(join(settings.folder, 'side-'))
  await cp(join(settings.folder, 'log'), join(folder, 'log'), { recursive: true })
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** An application on a log of its own, which is removed when it is stopped. */
export async function startOnCopy(
  subject: App,
  settings: Settings,
): Promise<{ running: RunningApp; stop(): Promise<void> }> {
  const { folder, remove } = await copyOfLog(settings)
  const running = await start(subject, { log: `lmdb:${join(folder, 'log')}` })
  const stop = async () => {
    await running.stop({ now: true })
    await remove()
  }
  return { running, stop }
}

/** Publishes with many in flight, and waits until the handlers are done with all of it. */
export async function publishAndHandle(subject: App, settings: Settings): Promise<Contestant> {
  const { running, stop } = await startOnCopy(subject, settings)
  let from = 0
  const publish = publisher(running)
  const round = async (): Promise<Round> => {
    const measured = await closedLoop(publish, {
      seconds: settings.seconds,
      from,
      until: () => running.settled(),
    })
    from += measured.calls
    return measured
  }
  return { round, stop }
}
