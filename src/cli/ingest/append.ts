import { MillraceError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Appended } from '../../log/port.ts'
import type { LogAccess } from '../access/port.ts'

const attempts = 8
const firstDelayMs = 100

/**
 * Appends events, again after a moment (100 ms, doubled each time, 8 attempts) when the refusal can pass: too much on its way, a
 * process that is being restarted. That is safe for events with ids of their own, which the log takes once.
 */
export async function appendPatiently(
  access: LogAccess,
  runtime: Runtime,
  events: readonly Event[],
  topic: string | undefined,
): Promise<readonly Appended[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await access.append(events, topic)
    } catch (error) {
      if (!(error instanceof MillraceError) || !error.retryable || attempt === attempts) throw error
      await runtime.sleep(firstDelayMs * 2 ** (attempt - 1))
    }
  }
}
