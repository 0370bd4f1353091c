import type { App } from '../app/app.ts'
import type { RunningApp, StartOptions } from '../app/running.ts'
import { isMillraceError, MillraceError, messageOf } from '../core/errors.ts'
import { partitionOf } from '../log/partition.ts'
import type { ClaimListener, LogEngine, Member, Membership } from '../log/port.ts'
import type { FaultPlan } from './faults.ts'
import type { HandlerFaults } from './handler-faults.ts'
import { instrument } from './instrument.ts'
import type { PendingSteps } from './pending-steps.ts'
import type { Recorder } from './recorder.ts'
import type { SimulatedEngine, SimulatedLog } from './simulated-log.ts'
import { SimulatedRuntime } from './simulated-runtime.ts'
import type { VirtualTime } from './virtual-time.ts'

/** Starts an application, as `start` does. */
export type StartFunction = (app: App, options: StartOptions) => Promise<RunningApp>

/** What all processes of a simulation share. */
export interface World {
  readonly app: App
  readonly start: StartFunction
  readonly seed: number
  readonly epochMs: number
  readonly partitions: number
  readonly log: SimulatedLog
  readonly time: VirtualTime
  readonly steps: PendingSteps
  readonly plan: FaultPlan
  readonly handlerFaults: HandlerFaults
  readonly recorder: Recorder
}

/** One start of a process, up to its end. */
interface Incarnation {
  readonly name: string
  readonly runtime: SimulatedRuntime
  readonly handle: SimulatedEngine
  readonly ended: Promise<void>
  readonly end: () => void
  running: RunningApp | undefined
  stopping: boolean
  sessionLost: boolean
  paused: boolean
}

/** One of the simulated processes: it can be started, stopped and crashed, again and again. */
export class SimulatedProcess {
  readonly name: string
  readonly #world: World
  #incarnation: Incarnation | undefined
  #starts = 0

  constructor(name: string, world: World) {
    this.name = name
    this.#world = world
  }

  /** The running application; undefined while it starts, stops or is down. */
  get running(): RunningApp | undefined {
    return this.#incarnation?.stopping ? undefined : this.#incarnation?.running
  }

  get isDown(): boolean {
    return this.#incarnation === undefined
  }

  get sessionLost(): boolean {
    return this.#incarnation?.sessionLost ?? false
  }

  /** Whether nothing that it has begun goes on, until it regains its session. */
  get isPaused(): boolean {
    return this.#incarnation?.paused ?? false
  }

  get clock(): SimulatedRuntime | undefined {
    return this.#incarnation?.runtime
  }

  /** Resolves when the present incarnation has ended, so that nobody waits for what never settles. */
  get ended(): Promise<void> {
    return this.#incarnation?.ended ?? Promise.resolve()
  }

  /** Starts the process; a start that fails is a process that is down again. */
  start(app = this.#world.app): void {
    const { start, recorder, handlerFaults } = this.#world
    this.#starts += 1
    const incarnation = this.#open(`${this.name}.${this.#starts}`)
    const { name: process, runtime, handle } = incarnation
    this.#incarnation = incarnation
    const claims = new Map<number, number>()
    const watched = instrument(app, {
      process,
      runtime,
      recorder,
      faults: handlerFaults,
      claimsOn: (key) => claims.get(partitionOf(key, this.#world.partitions)) ?? 0,
    })
    recorder.line(`${process} starts`)
    start(watched, { log: countClaims(handle.engine, claims), runtime, drainMs: 5_000 }).then(
      (running) => {
        incarnation.running = running
        recorder.line(`${process} has started`)
      },
      (error: unknown) => this.#startFailed(incarnation, error),
    )
  }

  /** Ends the process between two steps. */
  crash(): void {
    const incarnation = this.#incarnation
    if (incarnation === undefined) return
    this.#world.recorder.line(`${incarnation.name} crashes`)
    this.#end(incarnation)
  }

  /** Stops the process as an operator would. */
  stop(): void {
    const incarnation = this.#incarnation
    const running = this.running
    if (incarnation === undefined || running === undefined) return
    incarnation.stopping = true
    this.#world.recorder.line(`${incarnation.name} stops`)
    running.stop().then(
      () => {
        this.#world.recorder.line(`${incarnation.name} has stopped`)
        this.#end(incarnation)
      },
      (error: unknown) => {
        if (!incarnation.runtime.alive) return
        const failure = `${incarnation.name} failed to stop: ${messageOf(error)}`
        if (this.#world.plan.active) this.#world.recorder.line(failure)
        else this.#world.recorder.problem(failure)
        this.#end(incarnation)
      },
    )
  }

  /** Lets the other processes take over without telling this one, which must have taken part; it may stand still meanwhile. */
  loseSession(paused: boolean): void {
    const incarnation = this.#incarnation
    if (incarnation?.running === undefined || incarnation.sessionLost) return
    incarnation.sessionLost = true
    incarnation.paused = paused
    incarnation.handle.loseSession()
  }

  /** Tells the process of the loss, and lets it take part again. */
  regainSession(): void {
    const incarnation = this.#incarnation
    if (incarnation === undefined || !incarnation.sessionLost) return
    incarnation.sessionLost = false
    incarnation.paused = false
    this.#world.recorder.line(`${incarnation.name} takes part again`)
    incarnation.handle.regainSession()
  }

  #open(name: string): Incarnation {
    const { time, seed, epochMs, log, steps, recorder } = this.#world
    const runtime = new SimulatedRuntime({
      time,
      seed,
      name,
      epochMs,
      onTaskFailed: (task, error) =>
        recorder.problem(`background task ${task} of ${name} failed: ${describe(error)}`),
    })
    const { promise: ended, resolve: end } = Promise.withResolvers<void>()
    const handle = log.open({
      process: this.name,
      runtime,
      steps: steps.of(name),
      fault: (step) => this.#storageFault(name, step),
    })
    return {
      name,
      runtime,
      handle,
      ended,
      end,
      running: undefined,
      stopping: false,
      sessionLost: false,
      paused: false,
    }
  }

  #storageFault(name: string, step: string): Error | undefined {
    if (/^(close|leave|changed|withdraw|watch):/.test(step)) return undefined
    const weight = /^(append|commit|journal|forward):/.test(step) ? 1 : 0.1
    if (!this.#world.plan.happens('storage', () => `${name} ${step}`, weight)) return undefined
    return new MillraceError('STORAGE_FAILED', `The simulation lets ${step} fail.`)
  }

  #startFailed(incarnation: Incarnation, error: unknown): void {
    if (!incarnation.runtime.alive) return
    this.#world.recorder.line(`${incarnation.name} failed to start: ${describe(error)}`)
    if (!isMillraceError(error) || !error.retryable) {
      this.#world.recorder.problem(`${incarnation.name} failed to start: ${describe(error)}`)
    }
    this.#end(incarnation)
  }

  #end(incarnation: Incarnation): void {
    incarnation.handle.crash()
    incarnation.runtime.crash()
    this.#world.steps.drop(incarnation.name)
    if (this.#incarnation === incarnation) this.#incarnation = undefined
    incarnation.end()
  }
}

/** The same engine, counting the claims that it gives on each partition. */
function countClaims(engine: LogEngine, claims: Map<number, number>): LogEngine {
  const join = (group: string, member: Member, listener: ClaimListener): Promise<Membership> =>
    engine.join(group, member, (claim) => {
      claims.set(claim.partition, (claims.get(claim.partition) ?? 0) + 1)
      listener(claim)
    })
  return new Proxy(engine, {
    get(target, name) {
      if (name === 'join') return join
      const member: unknown = Reflect.get(target, name, target)
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

function describe(error: unknown): string {
  return isMillraceError(error) ? `${error.code}: ${error.message}` : messageOf(error)
}
