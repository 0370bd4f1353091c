import type { HandlerStatus } from '../../bus/status.ts'
import { isMillraceError, messageOf } from '../../core/errors.ts'
import { type SourcePlace, sourcePlace } from '../source-place.ts'

/** What the process of an application is told. */
export type ToApp =
  /** Open the log, take work, serve the ports; after a `stop` too. */
  | { readonly do: 'start'; readonly options: AppProcessOptions }
  /** Take nothing new, finish what runs, commit, close the log. */
  | { readonly do: 'stop' }
  /** Wait no longer for handlers that run. */
  | { readonly do: 'hurry' }

/** What the process of an application says. */
export type FromApp =
  | { readonly said: 'loaded'; readonly app: LoadedFacts }
  | { readonly said: 'load-failed'; readonly failure: Failure }
  /** These files were loaded, or would be if they were there. */
  | { readonly said: 'files'; readonly files: readonly string[] }
  | { readonly said: 'started'; readonly ports: AppPorts }
  | { readonly said: 'start-failed'; readonly failure: Failure }
  | { readonly said: 'stopped' }
  /** The file's `main` has failed; the process stops and ends. */
  | { readonly said: 'failed'; readonly failure: Failure }
  | { readonly said: 'activity'; readonly activity: Activity }

/** How an application is started in its process. */
export interface AppProcessOptions {
  readonly log: string
  readonly forget: readonly string[]
  readonly drainMs: number
  readonly json: boolean
  readonly verbose: boolean
  /** Where its ports are reached from outside. */
  readonly urls: { readonly platform: string; readonly app: string }
  /** Whether somebody looks on: only then is there {@link Activity}. */
  readonly watched: boolean
}

/** What is known of an application once it is loaded. */
export interface LoadedFacts {
  readonly name: string
  readonly handlers: readonly string[]
  readonly hasRoutes: boolean
}

/** The ports that the process itself listens on, on loopback. */
export interface AppPorts {
  readonly app: number
  readonly platform: number
}

/** An error, on its way to another process. */
export interface Failure {
  readonly name: string
  readonly code?: string
  readonly message: string
  readonly where?: string
  readonly fix?: string
  readonly stack?: string
  /** The line of the user's source that it comes from. */
  readonly place?: SourcePlace
}

/** What has happened in an application since the last of these. */
export interface Activity {
  /** The newest events, oldest first; those that were too many are only counted. */
  readonly events: readonly SeenEvent[]
  readonly passedOver: number
  readonly handlers: readonly HandlerStatus[]
  /** The newest dead letters, newest first. */
  readonly deadLetters: readonly SeenFailure[]
}

/** An event, as it is shown. */
export interface SeenEvent {
  readonly type: string
  readonly key: string
  readonly atMs: number
}

/** What a handler gave up on, as it is shown. */
export interface SeenFailure {
  readonly handler: string
  readonly key: string
  readonly message: string
  readonly atMs: number
}

/** Anything that was thrown, as a {@link Failure}. */
export function failureOf(error: unknown): Failure {
  const thrown = isMillraceError(error) && error.cause !== undefined ? error.cause : error
  const place = sourcePlace(thrown)
  const stack = thrown instanceof Error ? thrown.stack : undefined
  const base = {
    message: messageOf(error),
    ...(stack === undefined ? {} : { stack }),
    ...(place === undefined ? {} : { place }),
  }
  if (!isMillraceError(error)) return { name: error instanceof Error ? error.name : 'Error', ...base }
  const { name, code, where, fix } = error
  return {
    name,
    code,
    ...base,
    ...(where === undefined ? {} : { where }),
    ...(fix === undefined ? {} : { fix }),
  }
}
