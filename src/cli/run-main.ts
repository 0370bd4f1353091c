import type { MainOptions } from '../app/main.ts'
import type { RunningApp } from '../app/running.ts'
import type { LoadedApp } from './load-app.ts'
import type { StopRequest } from './stop-request.ts'

/** Runs the file's `main`, then waits until it is told to stop; rejects when `main` fails before that. */
export async function runMain(
  loaded: LoadedApp,
  running: RunningApp,
  options: MainOptions,
  stop: Pick<StopRequest, 'requested' | 'signal'>,
): Promise<void> {
  const main = Promise.resolve(loaded.main?.(running, options)).then(() => stop.requested)
  try {
    await Promise.race([main, stop.requested])
  } catch (error) {
    if (!stop.signal.aborted) throw error
  }
  // Once it was told to stop, `main` may reject with the signal's reason: that is nothing to report.
  main.catch(() => {})
}
