import { createHash } from 'node:crypto'
import type { App } from '../app/app.ts'
import { start } from '../app/start.ts'
import { loadCompiler } from '../bus/rules/application-rules.ts'
import { messageOf } from '../core/errors.ts'
import { type Faults, faultKinds, faultRates } from './faults.ts'
import type { History } from './history.ts'
import { invariants } from './invariants/index.ts'
import type { Operate } from './operator.ts'
import type { Workload } from './publishers.ts'
import { shrink } from './shrink.ts'
import type { BreakServers, SimulatedEngineKind } from './simulated-log.ts'
import type { StartFunction } from './simulated-process.ts'
import {
  Simulation,
  type SimulationOutcome,
  type SimulationSettings,
  type SimulationSubject,
} from './simulation.ts'

/** Options of {@link simulate}. */
export interface SimulateOptions {
  /** Decides everything that is left to chance. */
  readonly seed: number
  /** How many steps are disturbed before everything is left to settle; 2,000 unless given. */
  readonly steps?: number
  /** Which faults happen: kinds at their default rates, or a rate for each; all of them unless given. */
  readonly faults?: Faults
  /** Makes the events that are published. Keys should be few, so that events meet. */
  readonly publish: Workload
  /**
   * An earlier version of the application, that takes a third of the events and is stopped before `app` starts on the same
   * log: so that handlers of `app` which it did not have begin on what was there before them.
   */
  readonly predecessor?: App
  /** How many events are published at most; 30 unless given. */
  readonly events?: number
  /** How many processes run the application; 3 unless given. */
  readonly processes?: number
  /** What it runs on, see {@link SimulatedEngineKind}; `memory` unless given. */
  readonly engine?: SimulatedEngineKind
  /** How many partitions the log has; 4 unless given. */
  readonly partitions?: number
  /** The numbers of faults that are left out, as a failing simulation names them. */
  readonly without?: readonly number[]
  /** How many shorter courses are tried when one fails, so that the shortest is shown; 60 unless given. */
  readonly shorterCourses?: number
  /** Somebody who does something to a process now and then while faults happen, such as changing rules. */
  readonly operate?: Operate
  /**
   * Whether the course is taken a second time, and must be the same; true unless given. It shows whether seeds can be replayed,
   * for which some of many are enough.
   */
  readonly twice?: boolean
  /** Throws when the application broke a rule of its own. */
  readonly check?: (report: SimulationReport) => void
  /** The command that runs settings again, for the message of a failure. */
  readonly replay?: (settings: SimulationSettings) => string
  /** Starts each process; for a test of the simulation itself. */
  readonly start?: StartFunction
  /** Changes what the servers of a journaled log do; for a test of the simulation itself. */
  readonly breakServers?: BreakServers
}

/** What a simulation saw. */
export interface SimulationReport {
  readonly settings: SimulationSettings
  /** Everything that happened, in order, a line for each. */
  readonly trace: readonly string[]
  /** The SHA-256 of the trace: equal for equal courses. */
  readonly traceHash: string
  readonly history: History
  /** The virtual time that passed, in milliseconds. */
  readonly virtualMs: number
}

/** Thrown by {@link simulate} when a rule was broken; its message has the shortest history found and how to run it again. */
export class SimulationFailed extends Error {
  /** What was broken, a sentence for each. */
  readonly breaches: readonly string[]
  /** The shortest history found. */
  readonly report: SimulationReport

  constructor(message: string, breaches: readonly string[], report: SimulationReport) {
    super(message)
    this.name = 'SimulationFailed'
    this.breaches = breaches
    this.report = report
    // The message has what matters of both; test runners print all that is enumerable, and a report has thousands of lines.
    Object.defineProperty(this, 'breaches', { enumerable: false })
    Object.defineProperty(this, 'report', { enumerable: false })
  }
}

/**
 * Runs an application in several simulated processes over one log, in virtual time, with faults chosen by the seed; then
 * lets it settle and judges what happened: no acknowledged event lost, none handled to completion twice, order kept for
 * every key, no effect of a failed attempt, none twice, state and effects in step, every parked key drained or visible.
 * Runs twice unless told otherwise, and both courses must be equal, so handlers take time and chance from their context only.
 * Rejects with {@link SimulationFailed}.
 */
export async function simulate(app: App, options: SimulateOptions): Promise<SimulationReport> {
  // Loading a library takes real time, which virtual time does not wait for.
  await loadCompiler()
  const subject: SimulationSubject = {
    app,
    start: options.start ?? start,
    workload: options.publish,
    ...(options.predecessor === undefined ? {} : { predecessor: options.predecessor }),
    ...(options.operate === undefined ? {} : { operate: options.operate }),
    ...(options.breakServers === undefined ? {} : { breakServers: options.breakServers }),
  }
  const settings: SimulationSettings = {
    seed: options.seed,
    steps: options.steps ?? 2_000,
    rates: faultRates(options.faults ?? faultKinds),
    engine: options.engine ?? 'memory',
    processes: options.processes ?? 3,
    partitions: options.partitions ?? 4,
    events: options.events ?? 30,
    without: options.without ?? [],
  }
  const first = await new Simulation(subject, settings).run()
  const difference =
    options.twice === false
      ? undefined
      : firstDifference(first.trace, (await new Simulation(subject, settings).run()).trace)
  if (difference !== undefined) {
    throw new SimulationFailed(
      [
        `Seed ${settings.seed} took another course the second time:`,
        difference,
        'Something in a handler is not from `ctx` and the event alone: the time, chance, or waiting for the outside world.',
        replayOf(options, settings),
      ].join('\n'),
      [difference],
      reportOf(settings, first),
    )
  }
  const breaches = breachesOf(first, settings, options)
  if (breaches.length === 0) return reportOf(settings, first)
  throw await failure(subject, settings, first, options)
}

async function failure(
  subject: SimulationSubject,
  settings: SimulationSettings,
  outcome: SimulationOutcome,
  options: SimulateOptions,
): Promise<SimulationFailed> {
  const rules = new Set(breachesOf(outcome, settings, options).map(({ rule }) => rule))
  const repeat = async (candidate: SimulationSettings) => {
    const repeated = await new Simulation(subject, candidate).run()
    const fails = breachesOf(repeated, candidate, options).some(({ rule }) => rules.has(rule))
    return fails ? repeated : undefined
  }
  const shortest = await shrink({ settings, outcome }, repeat, options.shorterCourses)
  const breaches = breachesOf(shortest.outcome, shortest.settings, options).map(
    ({ rule, what }) => `${rule}: ${what}`,
  )
  const message = [
    `Seed ${settings.seed} breaks ${breaches.length === 1 ? 'a rule' : `${breaches.length} rules`}:`,
    ...breaches.slice(0, 10).map((breach) => `  ${breach}`),
    `Run it again with: ${replayOf(options, shortest.settings)}`,
    'The shortest history found:',
    ...readable(shortest.outcome.trace),
  ].join('\n')
  return new SimulationFailed(message, breaches, reportOf(shortest.settings, shortest.outcome))
}

interface Breach {
  readonly rule: string
  readonly what: string
}

function breachesOf(
  outcome: SimulationOutcome,
  settings: SimulationSettings,
  options: SimulateOptions,
): readonly Breach[] {
  const breaches: Breach[] = outcome.problems.map((what) => ({ rule: kindOf(what), what }))
  for (const [rule, invariant] of Object.entries(invariants)) {
    breaches.push(...invariant(outcome.history).map((what) => ({ rule, what })))
  }
  if (breaches.length > 0) return breaches
  try {
    options.check?.(reportOf(settings, outcome))
  } catch (error) {
    breaches.push({ rule: 'the check of the application', what: messageOf(error) })
  }
  return breaches
}

/** Problems are told apart by their first words, which name no process and no event. */
function kindOf(problem: string): string {
  return problem.split(':')[0]?.replaceAll(/\bp?\d[\d.]*/g, '…') ?? problem
}

function reportOf(settings: SimulationSettings, outcome: SimulationOutcome): SimulationReport {
  const { trace, history, virtualMs } = outcome
  return {
    settings,
    trace,
    // Of many seeds nobody asks.
    get traceHash() {
      return createHash('sha256').update(trace.join('\n')).digest('hex')
    },
    history,
    virtualMs,
  }
}

function replayOf(options: SimulateOptions, settings: SimulationSettings): string {
  if (options.replay !== undefined) return options.replay(settings)
  const { seed, steps, rates: faults, engine, processes, partitions, events, without } = settings
  return `simulate(app, ${JSON.stringify({ seed, steps, faults, engine, processes, partitions, events, without })})`
}

function firstDifference(first: readonly string[], second: readonly string[]): string | undefined {
  const length = Math.max(first.length, second.length)
  for (let index = 0; index < length; index += 1) {
    if (first[index] === second[index]) continue
    const before = first.slice(Math.max(0, index - 5), index).map((line) => `    ${line}`)
    return [
      `at line ${index + 1}, after`,
      ...before,
      `  first: ${first[index]}`,
      `  then:  ${second[index]}`,
    ].join('\n')
  }
  return undefined
}

const readableLines = 150

/** The trace without the steps that everything consists of. */
function readable(trace: readonly string[]): readonly string[] {
  const lines = trace.filter((line) => !line.startsWith('step ') && !line.includes(' simulation.witness '))
  const shown = lines.slice(0, readableLines).map((line) => `  ${line}`)
  return lines.length > readableLines
    ? [...shown, `  … and ${lines.length - readableLines} more lines`]
    : shown
}
