import type { AnyCommandType } from '../core/command.ts'
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
      /** How a command was decided; undefined for an event. */
      readonly decision: Decision | undefined
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
 * Runs a handler once; gives the outcome at once where the handler has nothing to wait for. Its effects are returned, not
 * applied. At its deadline its context is revoked and its signal aborted, and the attempt counts as failed; the handler
 * itself cannot be stopped, so `settled` tells when it has ended.
 */
export function runAttempt(
  subject: AttemptSubject,
  tools: AttemptTools,
  options: { readonly deadlines: AttemptDeadlines; readonly stop: StopRegistry },
): Outcome | Promise<Outcome> {
  const { deadlines, stop } = options
  if (stop.stopped) return { kind: 'aborted' }
  const context = new AttemptContext(subject, tools)
  const running = run(subject, context)
  if (!(running instanceof Promise)) {
    context.revoke()
    return running
  }
  return new Promise((resolve) => {
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
    const inTime = deadlines.begin(() => {
      const error = timeoutError(subject, deadlines.timeoutMs)
      context.abort(error)
      end({ kind: 'failed', error, settled })
    })
    const settled = running.then(end)
    stop.add(abort)
  })
}

/** Runs the handler and collects its effects; never throws or rejects. */
function run(subject: AttemptSubject, context: AttemptContext): Outcome | Promise<Outcome> {
  try {
    const returned: unknown = subject.definition.run(subject.event, context)
    const command = commandOf(subject.definition)
    if (returned !== undefined || command !== undefined)
      return settle(subject, context, { returned, command })
    const effects = context.effects()
    if (!(effects instanceof Promise)) return succeeded(subject, effects)
    return effects.then((collected) => succeeded(subject, collected)).catch(failed)
  } catch (error) {
    return failed(error)
  }
}

/** Awaits what a handler has returned, which decides a command; never rejects. */
async function settle(
  subject: AttemptSubject,
  context: AttemptContext,
  { returned, command }: { readonly returned: unknown; readonly command: AnyCommandType | undefined },
): Promise<Outcome> {
  try {
    const value = await returned
    const decision = command === undefined ? undefined : await decide(command, value)
    const collected = context.effects()
    const effects = collected instanceof Promise ? await collected : collected
    if (command === undefined || decision === undefined) return succeeded(subject, effects)
    const puts = [...effects.puts, ...resultPuts(command, subject, decision, context.now())]
    return succeeded(subject, { ...effects, puts }, decision)
  } catch (error) {
    return failed(error)
  }
}

function succeeded(subject: AttemptSubject, effects: Effects, decision?: Decision): Outcome {
  const bytes = sizeOf(effects)
  if (bytes <= maxCommitBytes) return { kind: 'succeeded', effects, decision }
  throw new MillraceError(
    'COMMIT_TOO_LARGE',
    `One event may have ${maxCommitBytes} bytes of effects; these are ${bytes}.`,
    {
      where: `handler '${subject.definition.name}'`,
      fix: 'Emit and set less for one event, or split the work over several events.',
    },
  )
}

function failed(error: unknown): Outcome {
  return { kind: 'failed', error }
}

function timeoutError(subject: AttemptSubject, timeoutMs: number): MillraceError {
  return new MillraceError('HANDLER_TIMEOUT', `The attempt did not end within ${timeoutMs} ms.`, {
    where: `handler '${subject.definition.name}'`,
    fix: 'Pass ctx.signal on to what the handler waits for, or raise timeoutMs.',
  })
}
