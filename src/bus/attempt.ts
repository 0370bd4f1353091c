import type { AnyCommandType } from '../core/command.ts'
import { MillraceError } from '../core/errors.ts'
import { AttemptContext, type AttemptSubject, type AttemptTools, type Effects, noEffects } from './context.ts'
import { commandOf } from './definitions.ts'
import { maxCommitBytes, sizeOf } from './partition-state.ts'
import { type Decision, decide, resultPuts } from './results.ts'
import type { RunningAttempt, RunningAttempts, RunningPlace } from './running-attempts.ts'

/** How an attempt ended. */
export type Outcome =
  | Succeeded
  | {
      readonly kind: 'failed'
      readonly error: unknown
      /** Present after a timeout: resolves when the handler, which went on, has ended at last. */
      readonly settled?: Promise<void>
    }
  /** The claim was lost or the process stops: the event is neither done nor failed. */
  | { readonly kind: 'aborted' }

/** The outcome of an attempt that has succeeded. */
export class Succeeded {
  readonly kind = 'succeeded'
  readonly effects: Effects
  /** How a command was decided; undefined for an event. */
  readonly decision: Decision | undefined

  constructor(effects: Effects, decision?: Decision) {
    this.effects = effects
    this.decision = decision
  }
}

/**
 * Runs a handler once; gives the outcome where the handler has nothing to wait for, and otherwise nothing: then `running` is told when
 * it has ended. Its effects are returned, not applied. At its deadline its context is revoked and its signal aborted, and the
 * attempt counts as failed; the handler itself cannot be stopped, so `settled` tells when it has ended.
 */
export function runAttempt<Subject extends AttemptSubject>(
  subject: Subject,
  tools: AttemptTools,
  running: RunningAttempts<Subject, Outcome>,
): Outcome | undefined {
  if (tools.stop.stopped !== undefined) return { kind: 'aborted' }
  const context = new AttemptContext(subject, tools)
  let outcome: Outcome | Promise<Outcome>
  try {
    const returned: unknown = subject.definition.run(subject.event, context)
    if (isThenable(returned)) {
      new WaitingAttempt(subject, context, running).follow(returned)
      return undefined
    }
    outcome = outcomeOf(subject, context, returned)
  } catch (error) {
    outcome = failed(error)
  }
  if (outcome instanceof Promise) {
    new WaitingAttempt(subject, context, running).conclude(outcome)
    return undefined
  }
  context.revoke()
  return outcome
}

/** An attempt whose handler, or whose effects, must be waited for. */
class WaitingAttempt<Subject extends AttemptSubject> implements RunningAttempt {
  readonly #subject: Subject
  readonly #context: AttemptContext
  readonly #running: RunningAttempts<Subject, Outcome>
  readonly #place: RunningPlace
  #isOver = false
  /** There after a timeout. */
  #settled: PromiseWithResolvers<void> | undefined

  constructor(subject: Subject, context: AttemptContext, running: RunningAttempts<Subject, Outcome>) {
    this.#subject = subject
    this.#context = context
    this.#running = running
    this.#place = running.begin(this)
    // The handler itself may have brought it about before it came back.
    if (running.stopped !== undefined) this.abort(running.stopped.reason)
  }

  /** Waits for what the handler has returned. */
  follow(returned: PromiseLike<unknown>): void {
    Promise.resolve(returned).then(
      (value) =>
        this.conclude(this.#isOver ? failed(undefined) : outcomeOf(this.#subject, this.#context, value)),
      (error) => this.#end(failed(error)),
    )
  }

  /** Ends with an outcome, once that is there. */
  conclude(outcome: Outcome | Promise<Outcome>): void {
    if (outcome instanceof Promise) void outcome.then((later) => this.#end(later))
    else this.#end(outcome)
  }

  expire(): void {
    const error = timeoutError(this.#subject, this.#running.timeoutMs)
    this.#settled = Promise.withResolvers()
    this.#context.abort(error)
    this.#end({ kind: 'failed', error, settled: this.#settled.promise })
  }

  abort(reason: unknown): void {
    this.#context.abort(reason)
    this.#end({ kind: 'aborted' })
  }

  #end(outcome: Outcome): void {
    if (this.#isOver) {
      this.#settled?.resolve()
      return
    }
    this.#isOver = true
    this.#context.revoke()
    this.#running.end(this.#place, this.#subject, outcome)
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}

/** What an attempt comes to whose handler has ended; never throws or rejects. */
function outcomeOf(
  subject: AttemptSubject,
  context: AttemptContext,
  value: unknown,
): Outcome | Promise<Outcome> {
  try {
    const command = commandOf(subject.definition)
    if (command !== undefined) return decided(subject, context, { command, value }).catch(failed)
    const effects = context.effects()
    if (!(effects instanceof Promise)) return succeeded(subject, effects)
    return effects.then((collected) => succeeded(subject, collected)).catch(failed)
  } catch (error) {
    return failed(error)
  }
}

/** The outcome of a command, which what its handler has returned decides. */
async function decided(
  subject: AttemptSubject,
  context: AttemptContext,
  { command, value }: { readonly command: AnyCommandType; readonly value: unknown },
): Promise<Outcome> {
  const decision = await decide(command, value)
  const effects = await context.effects()
  const puts = [...effects.puts, ...resultPuts(command, subject, decision, context.now())]
  return succeeded(subject, { ...effects, puts }, decision)
}

/** How most attempts end. */
const succeededWithNothing = new Succeeded(noEffects)

function succeeded(subject: AttemptSubject, effects: Effects, decision?: Decision): Outcome {
  if (effects === noEffects && decision === undefined) return succeededWithNothing
  const bytes = sizeOf(effects)
  if (bytes <= maxCommitBytes) return new Succeeded(effects, decision)
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
