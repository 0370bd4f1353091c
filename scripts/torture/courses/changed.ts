import { app } from '../../../src/app/app.ts'
import { ForgetHandler } from '../../../src/app/forget-handler.ts'
import type { RunningApp, StartOptions } from '../../../src/app/running.ts'
import { start } from '../../../src/app/start.ts'
import { every, on } from '../../../src/bus/definitions.ts'
import { isMillraceError } from '../../../src/core/errors.ts'
import { event } from '../../../src/core/event.ts'
import type { Schema } from '../../../src/core/schema.ts'
import { faultKinds } from '../../../src/testing/faults.ts'
import { type SimulateOptions, type SimulationReport, simulate } from '../../../src/testing/simulate.ts'
import type { StartFunction } from '../../../src/testing/simulated-process.ts'

const numbers: Schema<number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: value as number }) },
}
const counts: Schema<number | undefined, number> = {
  '~standard': { version: 1, vendor: 'millrace', validate: (value) => ({ value: Number(value ?? 0) }) },
}
const key = (number: number) => `k${number % 4}`
const Come = event('changed.come', { schema: numbers, key })
const Aside = event('changed.aside', { schema: numbers, key, topic: 'changed-aside' })
const Quiet = event('changed.quiet', { schema: numbers, key, topic: 'changed-quiet' })

const options = { from: 'start', retry: { attempts: 2, baseMs: 20 }, timeoutMs: 3_000 } as const
const held = { ...options, whenExhausted: 'park', state: { n: counts } } as const
const shelf = (number: number) => `shelf-${number % 3}`
/** Fails at some of the first events, and keeps that count which the simulation judges. */
const fails = (number: number) => {
  if (number % 3 === 0) throw new Error('not this one')
}

const stays = on(Come, { ...options, name: 'stays' }, ({ data }, ctx) => {
  if (data % 2 === 0) ctx.emit(Aside, data)
})
const ticks = every('*/30 * * * * *', { name: 'ticks' }, () => undefined)
const before = app({
  name: 'changed',
  events: [Quiet],
  handlers: [
    stays,
    ticks,
    on(Come, { ...held, name: 'former' }, ({ data }) => fails(data)),
    on(Come, { ...options, name: 'former-keyed', key: shelf }, ({ data }) => fails(data)),
    on([Come, Aside], { ...options, name: 'narrowed' }, ({ data }) => fails(data)),
    on(Come, { ...held, name: 'dropped' }, async ({ data }, ctx) => {
      await ctx.once('call', () => 'called')
      fails(data)
    }),
    on(Come, { ...options, name: 'dropped-keyed', key: shelf }, ({ data }) => fails(data)),
    on(Come, { ...options, name: 'dropped-while-stopped' }, ({ data }) => fails(data)),
    every('*/10 * * * * *', { name: 'dropped-schedule' }, () => undefined),
    on(Quiet, { ...options, name: 'quiet' }, () => undefined),
    on(Come, { ...options, name: 'sends' }, ({ data }, ctx) => {
      ctx.send('former', Come, data, { delay: 3_000 })
    }),
  ],
})
const after = app({
  name: 'changed',
  events: [Aside, Quiet],
  handlers: [
    stays,
    ticks,
    on(Come, { ...held, name: 'latter', renamedFrom: 'former' }, () => undefined),
    on(Come, { ...options, name: 'latter-keyed', renamedFrom: 'former-keyed', key: shelf }, () => undefined),
    on(Come, { ...options, name: 'narrowed' }, () => undefined),
    // A handler that comes by the name of one that is forgotten begins anew.
    on(Come, { ...options, name: 'new' }, () => undefined),
  ],
})
const whileStopped = 'dropped-while-stopped'
const forget = ['dropped', 'dropped-keyed', whileStopped, 'dropped-schedule', 'narrowed', 'sends']

/**
 * Starts the second version, which does not fit what the log holds as long as work is pending that no handler takes: forgets one
 * handler while nothing runs where it can, then starts without forgetting anything, which mostly is refused, and starts again with
 * what is to be forgotten, because it may be given any partition.
 */
const startChanged: StartFunction = async (given, how) => {
  if (given.handlers.some(({ name }) => name === 'former')) return await start(given, how)
  try {
    const { log: engine, runtime } = how as Required<Pick<StartOptions, 'runtime'>> & { log: never }
    await using forgetting = await ForgetHandler.open({ app: given, engine, runtime }, whileStopped)
    await forgetting.drop()
  } catch (error) {
    if (!isMillraceError(error)) throw error
  }
  try {
    await (await start(given, how)).stop({ now: true })
  } catch (error) {
    if (!isMillraceError(error, 'HANDLER_VANISHED')) throw error
  }
  return await startUntilItFits(given, how, forget)
}

async function startUntilItFits(
  given: Parameters<StartFunction>[0],
  how: StartOptions,
  forgotten: readonly string[],
): Promise<RunningApp> {
  try {
    return await start(given, { ...how, forget: forgotten })
  } catch (error) {
    if (!isMillraceError(error, 'HANDLER_UNKNOWN') && !isMillraceError(error, 'HANDLER_PRESENT')) throw error
    // What has left nothing behind cannot be forgotten.
    const left = forgotten.filter((name) => !error.message.includes(`'${name}'`))
    if (left.length === forgotten.length) throw error
    return await startUntilItFits(given, how, left)
  }
}

/** Handlers are renamed, take less than before, and are gone for good or forgotten, while everything fails. */
export function simulateChanged(
  seed: number,
  course: Partial<SimulateOptions> = {},
): Promise<SimulationReport> {
  return simulate(after, {
    seed,
    ...course,
    predecessor: before,
    start: startChanged,
    faults: faultKinds,
    publish: (random) => ({ type: Come, data: random.below(100) }),
  })
}
