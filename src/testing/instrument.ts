import { type App, type AppOptions, app as makeApp } from '../app/app.ts'
import type {
  EmitOptions,
  HandlerContext,
  HandlerDefinition,
  HandlerFunction,
  StateCell,
  StateSchemas,
} from '../bus/definitions.ts'
import { commandOf } from '../bus/definitions.ts'
import { dueTime } from '../bus/publisher.ts'
import { Failed } from '../core/command.ts'
import { MillraceError, messageOf, TerminalError } from '../core/errors.ts'
import type { AnyEventType, Event } from '../core/event.ts'
import { keyOf } from '../core/event.ts'
import type { Runtime } from '../core/runtime.ts'
import type { HandlerFault, HandlerFaults } from './handler-faults.ts'
import type { Attempt, CommandDecision } from './history.ts'
import type { Recorder } from './recorder.ts'
import { type Ledger, ledgerName, ledgerSchema, WitnessEvent } from './witness.ts'

/** Where and how the handlers of one process are watched. */
export interface Instruments {
  readonly process: string
  readonly runtime: Pick<Runtime, 'sleep' | 'now'>
  readonly recorder: Recorder
  readonly faults: HandlerFaults
  /** How many claims the process has been given on the partition of a key. */
  readonly claimsOn: (key: string) => number
}

/** The same application with every handler watched and, where the faults say so, disturbed. */
export function instrument(app: App, instruments: Instruments): App {
  const options: AppOptions = {
    name: app.name,
    handlers: app.handlers.map((handler) => instrumentHandler(handler, instruments)),
    routes: app.routes,
    events: [...app.events.values(), WitnessEvent],
    streams: app.streams,
    sources: app.sources,
    topics: app.topics,
    ...(app.hopLimit === undefined ? {} : { hopLimit: app.hopLimit }),
    ...(app.maxEventBytes === undefined ? {} : { maxEventBytes: app.maxEventBytes }),
  }
  return makeApp(options)
}

function instrumentHandler(definition: HandlerDefinition, instruments: Instruments): HandlerDefinition {
  const timeoutMs = definition.options.timeoutMs ?? 30_000
  const run: HandlerFunction<Event, StateSchemas> = async (event, ctx) => {
    const attempt = instruments.recorder.begin({
      handler: definition.name,
      process: instruments.process,
      claim: instruments.claimsOn(keyOf(event)),
      silent: ctx.silent,
      redriven: ctx.redriven,
      event,
    })
    const fault = instruments.faults.of(attempt, timeoutMs)
    let returned: unknown
    try {
      returned = await runWatched(definition, event, watch(ctx, attempt, fault, instruments), {
        ctx,
        attempt,
        fault,
        instruments,
      })
    } catch (error) {
      instruments.recorder.end(attempt, 'threw', messageOf(error))
      throw error
    }
    if (commandOf(definition) !== undefined) instruments.recorder.decided(attempt, decisionOf(returned))
    instruments.recorder.end(attempt, 'returned')
    return returned
  }
  return Object.freeze({
    ...definition,
    options: {
      ...definition.options,
      from: definition.options.from ?? 'start',
      state: { ...definition.options.state, [ledgerName]: ledgerSchema },
    },
    run,
  })
}

function decisionOf(returned: unknown): CommandDecision {
  return returned instanceof Failed
    ? { ok: false, failure: returned.failure }
    : { ok: true, result: returned }
}

interface Watched {
  readonly ctx: HandlerContext
  readonly attempt: Attempt
  readonly fault: HandlerFault | undefined
  readonly instruments: Instruments
}

async function runWatched(
  definition: HandlerDefinition,
  event: Event,
  watchedCtx: HandlerContext,
  { ctx, attempt, fault, instruments }: Watched,
): Promise<unknown> {
  const cell = ctx.state[ledgerName] as StateCell<typeof ledgerSchema>
  const before = (await cell.get()) as Ledger | undefined
  const { nonce, handler, source, id, key } = attempt
  const count = (before?.count ?? 0) + 1
  const witness = { nonce, handler, source, id, key, previous: before?.last ?? null, count }
  ctx.emit(WitnessEvent, { ...witness, phase: 'begun' })
  cell.set({ last: nonce, count })
  if (fault?.kind === 'throw-first') throw new Error('thrown before the handler')
  if (fault?.kind === 'slow' || fault?.kind === 'hang') await instruments.runtime.sleep(fault.durationMs)
  const returned = await definition.run(event, watchedCtx)
  if (fault?.kind === 'throw-last') throw new Error('thrown after the handler')
  if (fault?.kind === 'terminal') throw new TerminalError('given up by the handler')
  ctx.emit(WitnessEvent, { ...witness, phase: 'done' })
  return returned
}

/** A context that writes down what passes through it. */
function watch(
  ctx: HandlerContext,
  attempt: Attempt,
  fault: HandlerFault | undefined,
  instruments: Instruments,
): HandlerContext {
  const emitted = (type: AnyEventType, options: EmitOptions | undefined) => {
    const dueMs = dueTime(options ?? {}, instruments.runtime.now())
    instruments.recorder.emitted(
      attempt,
      dueMs === undefined ? { type: type.type } : { type: type.type, dueMs },
    )
  }
  return {
    emit(type, data, options) {
      ctx.emit(type, data, options)
      emitted(type, options)
    },
    send(handler, type, data, options) {
      ctx.send(handler, type, data, options)
      emitted(type, options)
    },
    once: async (name, run, options) => {
      const { whenSilent, ...rest } = options ?? {}
      const wrapped = await ctx.once(
        name,
        async (idempotencyKey, signal) => {
          if (fault?.kind === 'once') throw new MillraceError('STORAGE_FAILED', 'thrown within once')
          return { run: attempt.nonce, result: await run(idempotencyKey, signal) }
        },
        { ...rest, ...(options === undefined ? {} : { whenSilent: { run: 'silent', result: whenSilent } }) },
      )
      instruments.recorder.givenOnce(attempt, { name, run: wrapped?.run ?? 'silent' })
      return wrapped?.result as never
    },
    state: ctx.state,
    get signal() {
      return ctx.signal
    },
    log: ctx.log,
    attempt: ctx.attempt,
    silent: ctx.silent,
    redriven: ctx.redriven,
    now: () => ctx.now(),
  }
}
