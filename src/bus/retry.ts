import { isMillraceError } from '../core/errors.ts'
import type { Runtime } from '../core/runtime.ts'
import type { RetryOptions } from './definitions.ts'

/** What retrying means for one handler, with every default filled in. */
export interface RetryPolicy {
  readonly attempts: number
  readonly baseMs: number
  readonly maxMs: number
}

/** Fills in the defaults of {@link RetryOptions}. */
export function retryPolicy(options: RetryOptions = {}): RetryPolicy {
  return { attempts: options.attempts ?? 5, baseMs: options.baseMs ?? 100, maxMs: options.maxMs ?? 60_000 }
}

/**
 * How long to wait after the given failed attempt (1 for the first): exponential backoff with full jitter, a uniform draw
 * from [0, min(maxMs, baseMs · 2^(attempt−1))). Source: M. Brooker, "Exponential Backoff And Jitter", 2015.
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, runtime: Pick<Runtime, 'random'>): number {
  const bound = Math.min(policy.maxMs, policy.baseMs * 2 ** (attempt - 1))
  return Math.floor(runtime.random() * bound)
}

/** Whether another attempt may follow the given failed one. */
export function mayRetry(policy: RetryPolicy, attempt: number, error: unknown): boolean {
  return attempt < policy.attempts && !isTerminal(error)
}

/** Whether trying again cannot help. */
export function isTerminal(error: unknown): boolean {
  return (
    isMillraceError(error, 'TERMINAL') ||
    isMillraceError(error, 'LOOP_SUSPECTED') ||
    isMillraceError(error, 'EVENT_UNREADABLE') ||
    isMillraceError(error, 'COMMIT_TOO_LARGE')
  )
}
