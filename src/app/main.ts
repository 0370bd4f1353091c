import type { RunningApp } from './running.ts'

/** What an application's `main` is given beside the running application. */
export interface MainOptions {
  /** Whether results are to be written as JSON. */
  readonly json: boolean
  /** Aborted when the process is told to stop. */
  readonly signal: AbortSignal
  /** Where the ports are reached; that of the application is missing when it has no routes. */
  readonly urls: { readonly platform: string; readonly app?: string }
}

/**
 * The file of an application may export `main` beside the application: `millrace start` runs it once the application is
 * started and its ports answer. The application goes on when it returns. When it fails, its error is shown and the process
 * stops; what it does after it was told to stop is not reported.
 */
export type Main = (running: RunningApp, options: MainOptions) => void | Promise<void>
