import type { Runtime } from '../../core/runtime.ts'
import { matchesAnyType } from '../../core/type-pattern.ts'
import { Follower } from '../../gateway/live/follower.ts'
import type { LogEngine } from '../../log/port.ts'
import type { Followed, FollowRequest } from './port.ts'

const dayMs = 86_400_000

/** Follows an engine that this process has opened. */
export async function* followEngine(engine: LogEngine, request: FollowRequest): AsyncGenerator<Followed> {
  const { topics, types, after, signal, runtime } = request
  const ended = new AbortController()
  runtime.spawn('follow', () => stayAlive(runtime, ended.signal))
  try {
    const follower = await Follower.begin({ engine, topics, after })
    for await (const step of follower.steps(signal)) {
      follower.pass(step)
      if ('error' in step) yield { skipped: step.error }
      else if (matchesAnyType(types, step.event.type)) {
        yield { record: { ...step.at, offset: step.offset, event: step.event } }
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error
  } finally {
    ended.abort()
  }
}

/** An engine that waits for news need not hold anything that keeps a process from ending. */
async function stayAlive(runtime: Runtime, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) await runtime.sleep(dayMs, signal).catch(() => {})
}
