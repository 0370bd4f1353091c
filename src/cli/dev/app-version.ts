import { type ChildProcess, fork } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Runtime } from '../../core/runtime.ts'
import type {
  Activity,
  AppPorts,
  AppProcessOptions,
  Failure,
  FromApp,
  LoadedFacts,
  ToApp,
} from './messages.ts'

/** What one version of an application tells its supervisor beside its answers. */
export interface VersionListener {
  /** It asks for these files. */
  onFiles(files: readonly string[]): void
  /** It has written a line. */
  onLine(line: string, stream: 'stdout' | 'stderr'): void
  onActivity(activity: Activity): void
  /** Its process has ended, for whatever reason. */
  onEnded(): void
}

/** How loading a version has gone. */
export type LoadOutcome = { readonly app: LoadedFacts } | { readonly failure: Failure }
/** How starting a version has gone. */
export type StartOutcome = { readonly ports: AppPorts } | { readonly failure: Failure }
/** How a process has ended. */
export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** Why, where it has said so. */
  readonly failure?: Failure
}

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
const program = fileURLToPath(new URL(`app-process.${extension}`, import.meta.url))
/** How long a process that was told to hurry may take to close its log before it is killed. */
const graceMs = 2000

/** One version of an application, in a process of its own. What was told to it is answered once, or it ends. */
export class AppVersion {
  readonly pid: number
  /** Resolves when the process has ended. */
  readonly ended: Promise<Ending>
  readonly loaded: Promise<LoadOutcome>
  readonly #child: ChildProcess
  readonly #runtime: Runtime
  readonly #answers = new Map<FromApp['said'], (message: FromApp) => void>()
  #failure: Failure | undefined
  #isEnded = false

  constructor(
    file: string,
    options: { readonly colors: boolean; readonly runtime: Runtime },
    on: VersionListener,
  ) {
    this.#runtime = options.runtime
    const env = options.colors ? { FORCE_COLOR: '1', ...process.env } : process.env
    this.#child = fork(program, [file], { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env })
    this.pid = this.#child.pid ?? 0
    for (const stream of ['stdout', 'stderr'] as const) {
      const input = this.#child[stream]
      if (input !== null) createInterface({ input }).on('line', (line) => on.onLine(line, stream))
    }
    this.#child.on('message', (message) => this.#heard(message as FromApp, on))
    this.ended = this.#ending(on)
    this.loaded = this.#load()
  }

  get isEnded(): boolean {
    return this.#isEnded
  }

  /** Starts the application, or starts it again after {@link stop}. */
  async start(options: AppProcessOptions): Promise<StartOutcome> {
    const answer = await this.#ask({ do: 'start', options }, ['started', 'start-failed'])
    if (answer?.said === 'started') return { ports: answer.ports }
    if (answer?.said === 'start-failed') return { failure: answer.failure }
    return { failure: await this.#endedWhile('was started') }
  }

  /**
   * Drains: resolves once the log is closed. From the moment `late` aborts handlers are no longer waited for, and a process
   * that does not stop all the same is killed.
   */
  async stop(late: AbortSignal): Promise<void> {
    const settled = new AbortController()
    const hurry = () => {
      this.#tell({ do: 'hurry' })
      this.#runtime.spawn('kill', () =>
        this.#runtime.sleep(graceMs, settled.signal).then(
          () => this.#kill(),
          () => {},
        ),
      )
    }
    late.addEventListener('abort', hurry, { once: true })
    const stopped = this.#ask({ do: 'stop' }, ['stopped'])
    if (late.aborted) hurry()
    await stopped
    late.removeEventListener('abort', hurry)
    settled.abort()
  }

  /** Ends the process of a version that was stopped, or never started. */
  async end(): Promise<void> {
    this.#kill()
    await this.ended
  }

  #kill(): void {
    this.#child.kill('SIGKILL')
  }

  async #load(): Promise<LoadOutcome> {
    const answer = await this.#answer(['loaded', 'load-failed'])
    if (answer?.said === 'loaded') return { app: answer.app }
    if (answer?.said === 'load-failed') return { failure: answer.failure }
    return { failure: await this.#endedWhile('loaded its file') }
  }

  async #endedWhile(what: string): Promise<Failure> {
    const { code, signal } = await this.ended
    const how = signal === null ? `with exit code ${code}` : `by ${signal}`
    return { name: 'Error', message: `The process ended ${how} while it ${what}.` }
  }

  #ask(message: ToApp, said: readonly FromApp['said'][]): Promise<FromApp | undefined> {
    const answer = this.#answer(said)
    this.#tell(message)
    return answer
  }

  /** The next message of one of these kinds; undefined when the process ends without. */
  async #answer(said: readonly FromApp['said'][]): Promise<FromApp | undefined> {
    const { promise, resolve } = Promise.withResolvers<FromApp>()
    for (const kind of said) this.#answers.set(kind, resolve)
    return Promise.race([promise, this.ended.then(() => undefined)])
  }

  #tell(message: ToApp): void {
    if (this.#child.connected) this.#child.send(message, () => {})
  }

  #heard(message: FromApp, on: VersionListener): void {
    if (message.said === 'files') on.onFiles(message.files)
    else if (message.said === 'activity') on.onActivity(message.activity)
    else if (message.said === 'failed') this.#failure = message.failure
    else this.#answers.get(message.said)?.(message)
  }

  #ending(on: VersionListener): Promise<Ending> {
    return new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        if (this.#isEnded) return
        this.#isEnded = true
        resolve({ code, signal, ...(this.#failure === undefined ? {} : { failure: this.#failure }) })
        on.onEnded()
      }
      this.#child.once('exit', (code, signal) => {
        // What it said last is heard first.
        if (this.#child.connected) this.#child.once('disconnect', () => end(code, signal))
        else end(code, signal)
      })
      // A process that could not be made at all.
      this.#child.on('error', () => {
        if (this.#child.pid === undefined) end(null, null)
      })
    })
  }
}
