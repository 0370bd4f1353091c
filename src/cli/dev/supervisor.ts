import { Agent } from 'node:http'
import { shownLogUrl } from '../../app/open-engine.ts'
import { Wake } from '../../bus/wake.ts'
import type { Runtime } from '../../core/runtime.ts'
import { AppVersion, type Ending } from './app-version.ts'
import type { DevEvent } from './dev-event.ts'
import type { Activity, AppPorts, AppProcessOptions, Failure, LoadedFacts } from './messages.ts'
import type { Upstream } from './pass-on.ts'
import type { SourceWatch } from './source-watch.ts'
import type { Traffic } from './traffic.ts'
import { unavailable, type WaitingLine } from './waiting-line.ts'

/** The two ports of a version that runs. */
export interface Ports {
  readonly app: Upstream
  readonly platform: Upstream
}

/** What a supervisor tells. */
export interface SupervisorListener {
  onEvent(event: DevEvent): void
  onLine(line: string, stream: 'stdout' | 'stderr'): void
  onActivity(activity: Activity): void
}

/** What a supervisor works with. */
export interface SupervisorOptions {
  readonly file: string
  readonly start: AppProcessOptions
  readonly colors: boolean
  readonly runtime: Runtime
  readonly line: WaitingLine<Ports>
  readonly traffic: Traffic
  readonly listener: SupervisorListener
  /** Told of the files that count. */
  readonly sources: Pick<SourceWatch, 'follow'>
}

/** How long a version may take to stop, its running handlers and requests included. */
export const drainMs = 5000
const firstBackoffMs = 100
const longestBackoffMs = 10_000
/** A version that ran this long before it ended is started again as if it were the first time. */
const steadyMs = 10_000

/**
 * Runs one version of an application after another. The next one is loaded and checked beside the one that runs, which is
 * touched only after that: requests wait, it drains and closes the log, and the next one opens it. When that cannot start,
 * the one before is started again.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #wake = new Wake()
  readonly #stop = new AbortController()
  /** Counts what was saved; the source that was tried last is the one of this number. */
  #saved = 1
  #savedMs: number
  #tried = 0
  #current: { readonly version: AppVersion; readonly app: LoadedFacts; readonly sinceMs: number } | undefined
  #loading: AppVersion | undefined
  /** Whose activity is shown. */
  #shown: AppVersion | undefined
  #agent = new Agent()
  #failures = 0
  #hasStarted = false

  constructor(options: SupervisorOptions) {
    this.#options = options
    this.#savedMs = options.runtime.now()
  }

  /** A new version is wanted. Those that were wanted meanwhile are passed over. */
  reload(): void {
    this.#saved += 1
    this.#failures = 0
    this.#savedMs = this.#options.runtime.now()
    this.#loading?.end().catch(() => {})
    this.#wake.notify()
  }

  /** Stops what runs; {@link run} resolves when that is done. */
  stop(): void {
    this.#stop.abort(new Error('The supervisor was told to stop.'))
    this.#loading?.end().catch(() => {})
    this.#wake.notify()
  }

  /** Runs until it is told to stop. */
  async run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      if (this.#current?.version.isEnded) await this.#crashed(await this.#current.version.ended)
      else if (this.#tried !== this.#saved) await this.#next()
      else await this.#wake.wait()
    }
    await this.#finish()
  }

  /** Loads the newest version, and hands over to it where that works. */
  async #next(): Promise<void> {
    const { listener } = this.#options
    const wanted = this.#saved
    const version = this.#launch()
    this.#loading = version
    const outcome = await version.loaded
    this.#loading = undefined
    if (wanted !== this.#saved || this.#stop.signal.aborted) return version.end()
    this.#tried = wanted
    if ('app' in outcome) return this.#handOver(version, outcome.app)
    await version.end()
    const running = this.#current !== undefined
    if (!running) this.#refuse(outcome.failure)
    listener.onEvent({ kind: 'load-failed', failure: outcome.failure, running })
  }

  async #handOver(version: AppVersion, app: LoadedFacts): Promise<void> {
    const { line, listener, runtime, start } = this.#options
    const old = this.#current
    const heldMs = runtime.now()
    line.hold()
    if (old !== undefined) await this.#drain(old.version)
    this.#shown = version
    const outcome = await version.start(start)
    if ('failure' in outcome) {
      await version.end()
      return this.#goBack(outcome.failure)
    }
    this.#current = { version, app, sinceMs: runtime.now() }
    this.#open(outcome.ports)
    const nowMs = runtime.now()
    listener.onEvent({
      kind: this.#hasStarted ? 'reloaded' : 'started',
      app: app.name,
      pid: version.pid,
      log: shownLogUrl(start.log),
      urls: app.hasRoutes ? start.urls : { platform: start.urls.platform },
      handlers: app.handlers,
      tookMs: nowMs - this.#savedMs,
      waitedMs: old === undefined ? 0 : nowMs - heldMs,
    })
    this.#hasStarted = true
    await old?.version.end()
  }

  /** The new version cannot start: the one before, which is stopped and still loaded, is started again. */
  async #goBack(failure: Failure): Promise<void> {
    const { listener, start } = this.#options
    const old = this.#current
    this.#shown = old?.version
    const outcome = old === undefined || old.version.isEnded ? undefined : await old.version.start(start)
    const running = outcome !== undefined && 'ports' in outcome
    if (running) {
      this.#open(outcome.ports)
    } else {
      await old?.version.end()
      this.#current = undefined
      this.#refuse(failure)
    }
    listener.onEvent({ kind: 'start-failed', failure, running })
  }

  /** What was passed on is answered, what runs is finished, both within {@link drainMs}; then the log is closed. */
  async #drain(version: AppVersion): Promise<void> {
    const { traffic, runtime } = this.#options
    const late = new AbortController()
    const settled = new AbortController()
    runtime.spawn('deadline of draining', () =>
      runtime.sleep(drainMs, settled.signal).then(
        () => {
          traffic.cut()
          late.abort()
        },
        () => {},
      ),
    )
    await traffic.quiet(late.signal)
    await version.stop(late.signal)
    settled.abort()
  }

  /** Shows how a version ended by itself, and waits longer each time before the next one is started. */
  async #crashed({ code, signal, failure }: Ending): Promise<void> {
    const { line, listener, runtime } = this.#options
    const { sinceMs = 0, version } = this.#current ?? {}
    this.#current = undefined
    this.#failures = runtime.now() - sinceMs >= steadyMs ? 1 : this.#failures + 1
    const againInMs = Math.min(longestBackoffMs, firstBackoffMs * 2 ** (this.#failures - 1))
    const ended = { pid: version?.pid ?? 0, code, signal, againInMs }
    listener.onEvent({ kind: 'crashed', ...ended, ...(failure === undefined ? {} : { failure }) })
    if (againInMs < longestBackoffMs / 2) line.hold()
    else this.#refuse(failure ?? { name: 'Error', message: 'The application ends again and again.' })
    const saved = this.#saved
    const untilMs = runtime.now() + againInMs
    // A save does not wait.
    while (saved === this.#saved && !this.#stop.signal.aborted && runtime.now() < untilMs) {
      await this.#wake.waitAtMost(untilMs - runtime.now(), runtime)
    }
    if (saved === this.#saved) this.#savedMs = runtime.now()
    this.#tried = 0
  }

  async #finish(): Promise<void> {
    const { line, traffic } = this.#options
    line.refuse(unavailable('`millrace dev` stops.', { fix: 'Start it again.' }))
    if (this.#current !== undefined) await this.#drain(this.#current.version)
    traffic.cut()
    await this.#current?.version.end()
  }

  #launch(): AppVersion {
    const { file, colors, runtime, listener, sources, line } = this.#options
    const version: AppVersion = new AppVersion(
      file,
      { colors, runtime },
      {
        onFiles: (files) => sources.follow(files),
        onLine: (text, stream) => listener.onLine(text, stream),
        onActivity: (activity) => {
          if (version === this.#shown) listener.onActivity(activity)
        },
        onEnded: () => {
          if (version !== this.#current?.version) return
          line.hold()
          this.#wake.notify()
        },
      },
    )
    return version
  }

  #open(ports: AppPorts): void {
    // A connection of the version before that is idle would keep its end from coming.
    this.#agent.destroy()
    const agent = new Agent({ keepAlive: true })
    this.#agent = agent
    this.#options.line.open({
      app: { port: ports.app, agent },
      platform: { port: ports.platform, agent },
    })
  }

  #refuse({ code, name, message }: Failure): void {
    const [first = ''] = message.split('\n')
    this.#options.line.refuse(unavailable(`The application does not run: ${code ?? name}: ${first}`))
  }
}
