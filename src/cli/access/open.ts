import { existsSync } from 'node:fs'
import type { App } from '../../app/app.ts'
import { defaultLogUrl, openEngine, parseLogUrl, shownLogUrl } from '../../app/open-engine.ts'
import { MillraceError } from '../../core/errors.ts'
import type { Runtime } from '../../core/runtime.ts'
import { engineAccess } from './engine-access.ts'
import { httpAccess, listens } from './http-access.ts'
import type { LogAccess } from './port.ts'

/** Where the platform's port is unless told otherwise. */
export const defaultUrl = 'http://127.0.0.1:4400'

/** How the log of a command is named. */
export interface OpenOptions {
  /** The running process; asked alone when given. */
  readonly url?: string | undefined
  /** The log; opened without asking for a running process when given. */
  readonly log?: string | undefined
  /** The application whose schemas and keys hold when the log is opened here. */
  readonly loadApp?: (() => Promise<App>) | undefined
  /** Whether a topic, and a log, that are missing may be created. */
  readonly createTopic?: boolean | undefined
  readonly runtime: Runtime
  readonly environment: NodeJS.ProcessEnv
}

/**
 * Reaches the log of a command: the process at `url` when that is given, the log at `log` when that is given; otherwise
 * the process at the default URL or, when nobody listens there, the log that the environment or the default names.
 */
export async function openAccess(options: OpenOptions): Promise<LogAccess> {
  if (options.url !== undefined && options.log !== undefined) {
    throw new MillraceError('COMMAND_INVALID', '--url and --log name two different ways to the log.', {
      fix: 'Give --url to ask the process that is running, or --log to open the log here.',
    })
  }
  const url = options.url ?? defaultUrl
  if (options.log === undefined && (await isListening(url, options))) return httpAccess(url)
  return openHere(options, options.log ?? options.environment.MILLRACE_LOG ?? defaultLogUrl)
}

async function isListening(url: string, options: OpenOptions): Promise<boolean> {
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new MillraceError('COMMAND_INVALID', `'${url}' is no URL of a running application.`, {
      where: '--url',
      fix: `Give one such as ${defaultUrl}.`,
    })
  }
  if (await listens(url, options.runtime)) return true
  if (options.url === undefined) return false
  throw new MillraceError('UNREACHABLE', 'Nobody listens there.', {
    where: url,
    fix: 'Start the application, or open its log with --log.',
  })
}

async function openHere(options: OpenOptions, location: string): Promise<LogAccess> {
  const { engine: name, rest } = parseLogUrl(location)
  const app = await options.loadApp?.()
  const mayCreate = app !== undefined || options.createTopic === true
  if (name === 'lmdb' && !mayCreate && !existsSync(rest)) {
    const asked = options.log === undefined ? `, and nobody listens at ${defaultUrl}` : ''
    throw new MillraceError('UNREACHABLE', `There is no log in '${rest}'${asked}.`, {
      where: location,
      fix: 'Start the application, name where it runs with --url, or name its log with --log.',
    })
  }
  const { runtime, createTopic = false } = options
  const engine = await openEngine(location, { runtime })
  return engineAccess({ engine, runtime, location: shownLogUrl(location), app, createTopic })
}
