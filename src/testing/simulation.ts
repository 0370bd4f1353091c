import type { App } from '../app/app.ts'
import { FaultPlan, type FaultRates } from './faults.ts'
import { HandlerFaults } from './handler-faults.ts'
import type { History } from './history.ts'
import { LogObserver } from './log-observer.ts'
import { type Operate, Operator } from './operator.ts'
import { type PendingStep, PendingSteps } from './pending-steps.ts'
import { Publishers, type Workload } from './publishers.ts'
import { SeededRandom } from './random.ts'
import { Recorder } from './recorder.ts'
import { redriveOne } from './redrive.ts'
import { readHistory, unsettled } from './settlement.ts'
import {
  type BreakServers,
  type SimulatedEngineKind,
  SimulatedJournaledLog,
  SimulatedMemoryLog,
} from './simulated-log.ts'
import { SimulatedProcess, type StartFunction, type World } from './simulated-process.ts'
import { StateObserver } from './state-observer.ts'
import { turn } from './turn.ts'
import { VirtualTime } from './virtual-time.ts'

/** What decides a simulation entirely: two of equal settings take the same course. */
export interface SimulationSettings {
  readonly seed: number
  readonly steps: number
  readonly rates: FaultRates
  readonly engine: SimulatedEngineKind
  readonly processes: number
  readonly partitions: number
  readonly events: number
  readonly without: readonly number[]
}

/** What is simulated. */
export interface SimulationSubject {
  readonly app: App
  /** Ran before `app` on the same log, undisturbed, and left events behind. */
  readonly predecessor?: App
  readonly start: StartFunction
  readonly workload: Workload
  readonly operate?: Operate
  readonly breakServers?: BreakServers
}

/** What came of a simulation. */
export interface SimulationOutcome {
  readonly trace: readonly string[]
  readonly history: History
  readonly problems: readonly string[]
  /** The numbers of the faults that happened. */
  readonly faults: readonly number[]
  readonly virtualMs: number
}

/** When every simulation begins: 2026-01-01 in UTC. */
export const epochMs = Date.UTC(2026, 0, 1)

/** How much likelier a crash is between the halves of a commit. */
const crashWeightInCommit = 8
const maxJumpMs = 120_000
const maxStartDecisions = 5_000
const maxSettlingDecisions = 200_000
const maxSettlingMs = 6 * 60 * 60 * 1000
const checkEveryMs = 1_000

/** One course of an application's processes over one log: disturbed for some steps, and then left alone until it settles. */
export class Simulation {
  readonly #settings: SimulationSettings
  readonly #predecessor: App | undefined
  readonly #recorder = new Recorder()
  readonly #time = new VirtualTime()
  readonly #steps = new PendingSteps()
  readonly #plan: FaultPlan
  readonly #choice: SeededRandom
  readonly #world: World
  readonly #processes: readonly SimulatedProcess[]
  readonly #publishers: Publishers
  readonly #operator: Operator | undefined
  readonly #observer: LogObserver
  readonly #stateObserver: StateObserver
  /** Whether the last step applied a commit. */
  #committed = false
  /** Whether it appended to the log otherwise. */
  #appended = false
  readonly #restarting = new Set<SimulatedProcess>()

  constructor(subject: SimulationSubject, settings: SimulationSettings) {
    const { seed, partitions } = settings
    this.#settings = settings
    this.#predecessor = subject.predecessor
    this.#choice = new SeededRandom(seed, 'next step')
    this.#plan = new FaultPlan({
      seed,
      rates: settings.rates,
      without: new Set(settings.without),
      onFault: (line) => this.#recorder.line(line),
    })
    const log =
      settings.engine === 'memory'
        ? new SimulatedMemoryLog(partitions)
        : new SimulatedJournaledLog(partitions, seed, subject.breakServers)
    this.#world = {
      app: subject.app,
      start: subject.start,
      seed,
      epochMs,
      partitions,
      log,
      time: this.#time,
      steps: this.#steps,
      plan: this.#plan,
      handlerFaults: new HandlerFaults(seed, this.#plan),
      recorder: this.#recorder,
    }
    this.#processes = Array.from(
      { length: settings.processes },
      (_, index) => new SimulatedProcess(`p${index + 1}`, this.#world),
    )
    this.#publishers = new Publishers(this.#world, subject.workload, this.#processes)
    this.#operator =
      subject.operate === undefined ? undefined : new Operator(this.#world, subject.operate, this.#processes)
    this.#observer = new LogObserver(log, this.#recorder)
    this.#stateObserver = new StateObserver(log, subject.app, partitions)
  }

  /** Runs it to its end. Never rejects for what the application does: that is in the outcome's problems. */
  async run(): Promise<SimulationOutcome> {
    await this.#disturb()
    this.#recorder.line('faults are over')
    const settled = await this.#settle()
    const history = await this.#drive(readHistory(this.#world, this.#processes))
    if (settled) await this.#stop()
    for (const process of this.#processes) process.crash()
    return {
      trace: this.#recorder.trace,
      history: history ?? (await readHistory(this.#world, [])),
      problems: this.#recorder.problems,
      faults: this.#plan.happened,
      virtualMs: this.#time.elapsedMs,
    }
  }

  async #disturb(): Promise<void> {
    const publishChance = Math.min(0.12, (1.5 * this.#settings.events) / this.#settings.steps)
    await this.#runPredecessor()
    for (const process of this.#processes) process.start()
    if (this.#choice.chance(0.75)) await this.#startUndisturbed(this.#processes)
    this.#plan.begin()
    for (let decision = 0; decision < this.#settings.steps; decision += 1) {
      await this.#look()
      this.#disturbProcesses()
      this.#operator?.step()
      this.#restartProcesses()
      const more = this.#publishers.published < this.#settings.events
      if (more && this.#choice.chance(publishChance)) this.#publishers.publishNext()
      else if (!this.#advance() && !more) return
    }
  }

  /** Lets the application's predecessor take some events, and stops it. */
  async #runPredecessor(): Promise<void> {
    const [process] = this.#processes
    if (this.#predecessor === undefined || process === undefined) return
    process.start(this.#predecessor)
    await this.#startUndisturbed([process])
    for (let count = 0; count < this.#settings.events / 3; count += 1) this.#publishers.publishNext()
    while (this.#publishers.open > 0 && this.#advance()) await this.#look()
    process.stop()
    await this.#drive(process.ended)
  }

  /** Most courses begin with all processes up: starting takes many steps, and few seeds would get beyond it. */
  async #startUndisturbed(processes: readonly SimulatedProcess[]): Promise<void> {
    for (let decision = 0; decision < maxStartDecisions; decision += 1) {
      await this.#look()
      if (processes.every((process) => process.running !== undefined)) return
      if (!this.#advance()) return
    }
  }

  /** Lets everything run until nothing is left to do; false when that does not come true. */
  async #settle(): Promise<boolean> {
    this.#plan.end()
    for (const process of this.#processes) process.regainSession()
    const sinceMs = this.#time.elapsedMs
    const endMs = sinceMs + maxSettlingMs
    let nextCheckMs = this.#time.elapsedMs
    let reasons: readonly string[] = []
    let lastLookAtRest = false
    for (let decision = 0; decision < maxSettlingDecisions; decision += 1) {
      await this.#look()
      this.#restartProcesses()
      if (this.#steps.all.length === 0 && this.#time.elapsedMs >= nextCheckMs) {
        reasons =
          (await this.#drive(unsettled(this.#world, this.#processes, this.#publishers, sinceMs))) ?? []
        if (this.#recorder.problems.length > 0) return false
        if (reasons.length === 0) return true
        nextCheckMs = this.#time.elapsedMs + checkEveryMs
      } else if (this.#advance()) {
        lastLookAtRest = false
      } else if (!lastLookAtRest) {
        // What was found is from before the last steps.
        lastLookAtRest = true
        nextCheckMs = this.#time.elapsedMs
      } else {
        this.#recorder.problem(`nothing moves any more: ${reasons.join('; ')}`)
        return false
      }
      if (this.#time.elapsedMs > endMs) break
    }
    this.#recorder.problem(`it does not settle: ${reasons.join('; ')}`)
    return false
  }

  async #stop(): Promise<void> {
    for (const process of this.#processes) process.stop()
    await this.#drive(Promise.all(this.#processes.map((process) => process.ended)))
  }

  /** Lets steps happen, and time pass, until a promise settles; undefined, and a problem, when it does not. */
  async #drive<Answer>(promise: Promise<Answer>): Promise<Answer | undefined> {
    let settled: { readonly answer: Answer } | undefined
    let over = false
    promise.then(
      (answer) => {
        settled = { answer }
      },
      (error: unknown) => {
        over = true
        this.#recorder.problem(`a question to a process failed: ${String(error)}`)
      },
    )
    for (let decision = 0; decision < maxSettlingDecisions; decision += 1) {
      await this.#look()
      if (settled !== undefined) return settled.answer
      if (over) return undefined
      if (!this.#advance()) break
    }
    this.#recorder.problem('a process does not answer')
    return undefined
  }

  async #look(): Promise<void> {
    await turn()
    if (this.#appended || this.#committed) this.#observer.look()
    if (this.#committed) this.#recorder.cursors.push(...this.#stateObserver.look(this.#observer.step))
  }

  /** Lets one step happen or one timer fire; false when there is neither. */
  #advance(): boolean {
    this.#committed = false
    this.#appended = false
    const steps = this.#eligible()
    const timer = this.#time.next()
    const lateSteps = timer !== undefined && steps.length > 0 && this.#choice.chance(this.#plan.rate('delay'))
    if (steps.length === 0 || lateSteps) {
      if (timer === undefined) return false
      this.#recorder.line(`time ${timer.atMs}: ${timer.owner}`)
      this.#time.fireNext()
      return true
    }
    const step = this.#choice.pick(steps)
    this.#recorder.line(`step ${step.process} ${step.name}`)
    this.#committed = this.#world.log.commits(step.name)
    this.#appended = this.#world.log.appends(step.name)
    this.#steps.grant(step)
    return true
  }

  /** A process whose session was lost hears of it only when it takes part again; one that is paused does nothing until then. */
  #eligible(): readonly PendingStep[] {
    const unaware = this.#processes.filter(({ sessionLost }) => sessionLost)
    if (unaware.length === 0) return this.#steps.all
    return this.#steps.all.filter(({ name, process }) => {
      const stopped = unaware.find((other) => process.startsWith(`${other.name}.`))
      return stopped === undefined || !(stopped.isPaused || this.#world.log.tells(name))
    })
  }

  #disturbProcesses(): void {
    this.#disturbOne('crash', (process) => process.crash(), this.#committed ? crashWeightInCommit : 1)
    this.#disturbOne('stop', (process) => process.stop())
    this.#disturbOne('session', (process) => {
      process.loseSession(this.#world.log.canPause && this.#plan.random('session').chance(0.5))
      this.#time.after(this.#plan.random('session').between(1, 5_000), process.name, () =>
        process.regainSession(),
      )
    })
    this.#disturbOne('clock', (process) => {
      process.clock?.jump(this.#plan.random('clock').between(-maxJumpMs, maxJumpMs))
    })
    if (this.#plan.rate('redrive') > 0) redriveOne(this.#world, this.#plan, this.#processes)
  }

  #disturbOne(
    kind: 'crash' | 'stop' | 'session' | 'clock',
    act: (process: SimulatedProcess) => void,
    weight = 1,
  ): void {
    const up = this.#processes.filter((process) => !process.isDown)
    if (up.length === 0) return
    const process = this.#plan.random(kind).pick(up)
    if (this.#plan.happens(kind, () => process.name, weight)) act(process)
  }

  #restartProcesses(): void {
    for (const process of this.#processes) {
      if (!process.isDown || this.#restarting.has(process)) continue
      this.#restarting.add(process)
      this.#time.after(this.#choice.between(1, 2_000), 'operator', () => {
        this.#restarting.delete(process)
        process.start()
      })
    }
  }
}
