import { MillraceError } from '../core/errors.ts'
import type { AttemptDeadlines } from './attempt-deadlines.ts'
import { AttemptContext, type AttemptSubject, type AttemptTools, type Effects } from './context.ts'
import { commandOf } from './definitions.ts'
import { maxCommitBytes, sizeOf } from './partition-state.ts'
import { type Decision, decide, resultPuts } from './results.ts'
import type { StopRegistry } from './stop-registry.ts'

/** How an attempt ended. */
export type Outcome =
  | {
      readonly kind: 'succeeded'
      readonly effects: Effects
      /** How a command was decided; absent for an event. */
      readonly decision?: Decision
    }
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /** Present after a timeout: resolves when the handler, which went on, has ended at last. */
      readonly settled?: Promise<void>
    }
  /** The claim was lost or the process stops: the event is neither done nor failed. */
  | { readonly kind: 'aborted' }

/**
 * Runs a handler once. Its effects are returned, not applied. At its deadline its context is revoked and its signal
 * aborted, and the attempt counts as failed; the handler itself cannot be stopped, so `settled` tells when it has ended.
 */
export function runAttempt(
  subject: AttemptSubject,
  tools: AttemptTools,
  options: { readonly deadlines: AttemptDeadlines; readonly stop: StopRegistry },
): Promise<Outcome> {
  const { deadlines, stop } = options
  if (stop.stopped) return Promise.resolve({ kind: 'aborted' })
  return new Promise((resolve) => {
    const context = new AttemptContext(subject, tools)
    const end = (outcome: Outcome) => {
      context.revoke()
      stop.delete(abort)
      inTime()
      resolve(outcome)
    }
    const abort = (reason: unknown) => {
      context.abort(reason)
      end({ kind: 'aborted' })
    }
    stop.add(abort)
    const inTime = deadlines.begin(() => {
      const error = timeoutError(subject, deadlines.timeoutMs)
      context.abort(error)
      end({ kind: 'failed', error, settled })
    })
    const settled = run(subject, context).then(end)
  })
}

/** Runs the handler and collects its effects; never rejects. */
async function run(subject: AttemptSubject, context: AttemptContext): Promise<Outcome> {
  try {
    const returned = await subject.definition.run(subject.event, context)
    const command = commandOf(subject.definition)
    const decision = command === undefined ? undefined : await decide(command, returned)
    const collected = context.effects()
    const effects = collected instanceof Promise ? await collected : collected
    if (command !== undefined && decision !== undefined)
      effects.puts.push(...resultPuts(command, subject, decision, context.now()))
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
    return { kind: 'succeeded', effects, ...(decision === undefined ? {} : { decision }) }
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
