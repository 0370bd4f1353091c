import type { RunningApp } from '../../app/running.ts'
import type { Activity } from './messages.ts'

/** How the activity of an application is told. */
export interface ActivityOptions {
  readonly signal: AbortSignal
  tell(activity: Activity): void
}

/** Tells what happens in an application, a few times a second at most and only when something has changed. */
export async function watchActivity(_running: RunningApp, _options: ActivityOptions): Promise<void> {}
