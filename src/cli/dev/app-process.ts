import { spawnSync } from 'node:child_process'
import { registerHooks } from 'node:module'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { app } from '../../app/app.ts'
import type { RunningApp } from '../../app/running.ts'
import { realRuntime } from '../../core/real-runtime.ts'
import type { Listening } from '../../gateway/index.ts'
import { type LoadedApp, loadApp } from '../load-app.ts'
import { loggerOf } from '../logger.ts'
import { Output } from '../output.ts'
import { runMain } from '../run-main.ts'
import { isOfUser, placeInStack } from '../source-place.ts'
import { watchActivity } from './activity.ts'
import { type AppProcessOptions, type Failure, type FromApp, failureOf, type ToApp } from './messages.ts'

// The process of one version of an application. Its supervisor tells it what to do; it ends with its supervisor.
const runtime = realRuntime()

function say(message: FromApp): void {
  if (process.connected) process.send?.(message, () => {})
}

/** The files that the application has asked for. */
const asked = new Set<string>()

function noteFile(path: string): void {
  if (asked.has(path)) return
  asked.add(path)
  say({ said: 'files', files: [path] })
}

/** Tells of every file that the application asks for, from the first import on, so that a save of it is noticed. */
function reportFiles(): void {
  registerHooks({
    resolve(specifier, context, next) {
      try {
        const found = next(specifier, context)
        if (found.url.startsWith('file:') && isOfUser(fileURLToPath(found.url))) {
          noteFile(fileURLToPath(found.url))
        }
        return found
      } catch (error) {
        // A file that is not there is waited for.
        const parent = context.parentURL ?? ''
        if (/^\.{0,2}\//.test(specifier) && parent.startsWith('file:') && isOfUser(fileURLToPath(parent))) {
          noteFile(fileURLToPath(new URL(specifier, parent)))
        }
        throw error
      }
    },
  })
}

const patienceMs = 5000

/**
 * Some syntax errors keep their place for whom they end: so they are let end a process. Nothing of the file runs in it, for
 * modules are parsed before any of them runs.
 */
function withPlace(failure: Failure, error: unknown, file: string): Failure {
  const cause = error instanceof Error ? error.cause : undefined
  if (failure.place !== undefined || !(cause instanceof SyntaxError)) return failure
  const { stderr } = spawnSync(process.execPath, [...process.execArgv, file], {
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
    timeout: patienceMs,
  })
  const place = stderr.includes(cause.message) ? placeInStack(stderr) : undefined
  return place === undefined ? failure : { ...failure, place }
}

/** One start of the application: from opening the log until that is closed again. */
class Run {
  readonly #stop = new AbortController()
  readonly #loaded: LoadedApp
  readonly #options: AppProcessOptions
  #running: RunningApp | undefined
  #ports: Listening[] = []
  #stopped: Promise<void> | undefined

  constructor(loaded: LoadedApp, options: AppProcessOptions) {
    this.#loaded = loaded
    this.#options = options
  }

  async start(): Promise<void> {
    const { log, forget, drainMs, json, verbose, watched } = this.#options
    const output = new Output({ stdout: process.stdout, stderr: process.stderr, json, verbose })
    const { start, gateway } = await machinery()
    const logger = await loggerOf(output)
    const running = await start(this.#loaded.app, { log, runtime, logger, forget, drainMs })
    this.#running = running
    try {
      const platform = await gateway.servePlatform(running, { port: 0, drainMs })
      this.#ports.push(platform)
      const app = await gateway.serveApp(running, { port: 0, drainMs })
      this.#ports.push(app)
      if (watched) {
        const { signal } = this.#stop
        runtime.spawn('activity', () =>
          watchActivity(running, { signal, tell: (activity) => say({ said: 'activity', activity }) }),
        )
      }
      say({ said: 'started', ports: { platform: platform.port, app: app.port } })
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  /** Runs the file's `main` until the application is told to stop. */
  async main(): Promise<void> {
    const { json, urls } = this.#options
    const { signal } = this.#stop
    const requested = new Promise<void>((done) =>
      signal.addEventListener('abort', () => done(), { once: true }),
    )
    const running = this.#running
    if (running === undefined) return
    const reached = this.#loaded.app.routes.length === 0 ? { platform: urls.platform } : urls
    await runMain(this.#loaded, running, { json, signal, urls: reached }, { signal, requested })
  }

  /** Drains; resolves once the log is closed. */
  stop(): Promise<void> {
    this.#stopped ??= this.#drain()
    return this.#stopped
  }

  /** Aborts the handlers that run. */
  async hurry(): Promise<void> {
    await this.#running?.stop({ now: true })
  }

  async #drain(): Promise<void> {
    this.#stop.abort(new Error('The application was told to stop.'))
    await Promise.all(this.#ports.map((port) => port.close()))
    await this.#running?.stop()
  }
}

/** What starting takes, loaded once. */
async function machinery() {
  const [{ start }, gateway] = await Promise.all([
    import('../../app/start.ts'),
    import('../../gateway/index.ts'),
    import('../../engines/lmdb/lmdb-engine.ts'),
    import('fastify'),
  ])
  return { start, gateway }
}

/** Starts something that has nothing to do once: what runs for the first time is slow, and later requests wait for it. */
async function warmUp(): Promise<void> {
  const { start, gateway } = await machinery()
  const running = await start(app({ name: 'warm-up' }), { log: 'memory:', runtime, partitions: 1 })
  const port = await gateway.servePlatform(running, { port: 0 })
  await port.close()
  await running.stop()
}

let loaded: LoadedApp | undefined
let run: Run | undefined

async function begin(options: AppProcessOptions): Promise<void> {
  if (loaded === undefined) return
  const begun = new Run(loaded, options)
  run = begun
  try {
    await begun.start()
  } catch (error) {
    say({ said: 'start-failed', failure: failureOf(error) })
    return
  }
  try {
    await begun.main()
  } catch (error) {
    say({ said: 'failed', failure: failureOf(error) })
    await begun.stop()
    process.exit(1)
  }
}

async function obey(message: ToApp): Promise<void> {
  switch (message.do) {
    case 'start':
      return begin(message.options)
    case 'stop':
      await run?.stop()
      return say({ said: 'stopped' })
    case 'hurry':
      return run?.hurry()
  }
}

async function load(file: string): Promise<void> {
  reportFiles()
  // A file that cannot be loaded is still one that is watched.
  noteFile(resolve(file))
  try {
    loaded = await loadApp(file)
    await warmUp()
    const { name, handlers, routes } = loaded.app
    say({
      said: 'loaded',
      app: { name, handlers: handlers.map((handler) => handler.name), hasRoutes: routes.length > 0 },
    })
  } catch (error) {
    say({ said: 'load-failed', failure: withPlace(failureOf(error), error, file) })
  }
}

// A terminal sends its interrupt to this process too; the supervisor tells what to do about it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {})
process.on('message', (message) => runtime.spawn('order of the supervisor', () => obey(message as ToApp)))
process.on('disconnect', () => {
  runtime.spawn('end', async () => {
    await run?.hurry().catch(() => {})
    process.exit(1)
  })
})
await load(process.argv[2] ?? '')
