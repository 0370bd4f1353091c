import { MillraceError } from '../core/errors.ts'
import { AttemptContext, type AttemptSubject, type AttemptTools, type Effects } from './context.ts'
import { maxCommitBytes, sizeOf } from './partition-state.ts'

/** How an attempt ended. */
export type Outcome =
  | { readonly kind: 'succeeded'; readonly effects: Effects }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /** Present after a timeout: resolves when the handler, which went on, has ended at last. */
      readonly settled?: Promise<void>
    }
  /** The claim was lost or the process stops: the event is neither done nor failed. */
  | { readonly kind: 'aborted' }

/**
 * Runs a handler once. Its effects are returned, not applied. After `timeoutMs` its context is revoked and its signal
 * aborted, and the attempt counts as failed; the handler itself cannot be stopped, so `settled` tells when it has ended.
 */
export async function runAttempt(
  subject: AttemptSubject,
  tools: AttemptTools,
  options: { readonly timeoutMs: number; readonly stop: AbortSignal },
): Promise<Outcome> {
  const controller = new AbortController()
  const stopped = Promise.withResolvers<'aborted'>()
  const abort = () => {
    controller.abort(options.stop.reason)
    stopped.resolve('aborted')
  }
  if (options.stop.aborted) return { kind: 'aborted' }
  options.stop.addEventListener('abort', abort, { once: true })
  const context = new AttemptContext(subject, tools, controller.signal)
  const handled = run(subject, context)
  try {
    const timer = new AbortController()
    const first = await Promise.race([
      handled,
      tools.runtime.sleep(options.timeoutMs, timer.signal).then(
        () => 'timeout' as const,
        () => 'cancelled' as const,
      ),
      stopped.promise,
    ])
    // With a reason, as making the one that is made otherwise takes longer than most handlers.
    timer.abort('cancelled')
    if (first === 'aborted') return { kind: 'aborted' }
    if (typeof first !== 'string') return first
    const error = timeoutError(subject, options.timeoutMs)
    controller.abort(error)
    return { kind: 'failed', error, settled: handled.then(() => {}) }
  } finally {
    context.revoke()
    options.stop.removeEventListener('abort', abort)
  }
}

/** Runs the handler and collects its effects; never rejects. */
async function run(subject: AttemptSubject, context: AttemptContext): Promise<Outcome> {
  try {
    await subject.definition.run(subject.event, context)
    const effects = await context.effects()
    const bytes = sizeOf(effects)
    if (bytes > maxCommitBytes) {
      throw new MillraceError(
        'COMMIT_TOO_LARGE',
        `One event may have ${maxCommitBytes} bytes of effects; these are ${bytes}.`,
        {
          where: `handler '${subject.definition.name}'`,
          fix: 'Emit and set less for one event, or split the work over several events.',
        },
      )
    }
    return { kind: 'succeeded', effects }
  } catch (error) {
    return { kind: 'failed', error }
  }
}

function timeoutError(subject: AttemptSubject, timeoutMs: number): MillraceError {
  return new MillraceError('HANDLER_TIMEOUT', `The attempt did not end within ${timeoutMs} ms.`, {
    where: `handler '${subject.definition.name}'`,
    fix: 'Pass ctx.signal on to what the handler waits for, or raise timeoutMs.',
  })
}
