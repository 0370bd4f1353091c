import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Offset } from '../../../src/log/port.ts'
import type { History } from '../../../src/testing/history.ts'
import { SeededRandom } from '../../../src/testing/random.ts'
import { torturePartitions } from '../app.ts'
import { breachesOf } from '../judge.ts'
import { readKilledHistory } from '../kill-history.ts'
import type { Answer } from '../messages.ts'
import { inSeconds, OutOfTime, patienceMs, within } from '../out-of-time.ts'
import { Callers } from './callers.ts'
import type { Cluster } from './cluster.ts'
import { chaosEngines } from './clusters.ts'
import { faultsOf } from './faults.ts'
import { Fleet, type FleetMember } from './fleet.ts'
import { type Gap, GapMeter, nowNs } from './gaps.ts'

/** What became of one round. */
export interface ChaosRound {
  readonly engine: string
  readonly seed: number
  /** What was broken, a sentence for each. */
  readonly breaches: readonly string[]
  /** What is wrong with the servers themselves, where they are known for it: then the rules could not be kept. */
  readonly damage: readonly string[]
  /** What the round waited for in vain: then it came to no end, and only what must hold at any moment was judged. */
  readonly outOfTime: string | undefined
  /** How long nothing went on, for each thing that failed, in order. */
  readonly gaps: readonly Gap[]
  readonly acknowledged: number
  /** How many appends to streams were answered to be done, and how many to be refused. */
  readonly appended: number
  readonly conflicts: number
  readonly attempts: number
  /** How many events were refused for want of room and not published again. */
  readonly refused: number
  /** Where the journals of a failed round are. */
  readonly folder: string
}

/** Options of {@link chaosRound}. */
export interface ChaosOptions {
  /** What fails, one after the other; chosen by the seed unless given. */
  readonly faults?: readonly string[]
}

const processes = 3
const faultsPerRound = 4
const answersWithinMs = 10_000

/**
 * Lets several processes of an application work on one log, lets processes, connections and servers fail as the seed decides
 * while events are published all the time, and judges what they saw and what is in the log. Seeds that follow one another let
 * everything fail in turn.
 */
export async function chaosRound(
  engine: string,
  seed: number,
  options: ChaosOptions = {},
): Promise<ChaosRound> {
  const cluster = await chaosEngines[engine]?.start()
  if (cluster === undefined) throw new TypeError(`there is no engine '${engine}' for this`)
  try {
    return await new Round(engine, seed, cluster, options).run()
  } finally {
    await cluster.remove()
  }
}

class Round {
  readonly #engine: string
  readonly #seed: number
  readonly #cluster: Cluster
  readonly #options: ChaosOptions
  readonly #random: SeededRandom
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-chaos-'))
  readonly #problems: string[] = []
  readonly #meter = new GapMeter(torturePartitions)
  #outOfTime: string | undefined
  #outstanding: string | undefined
  #settled: Readonly<Record<string, Offset>> | undefined

  constructor(engine: string, seed: number, cluster: Cluster, options: ChaosOptions) {
    this.#engine = engine
    this.#seed = seed
    this.#cluster = cluster
    this.#options = options
    this.#random = new SeededRandom(seed, 'chaos')
  }

  async run(): Promise<ChaosRound> {
    const fleet: Fleet = await Fleet.make({
      ...{ size: processes, seed: this.#seed, cluster: this.#cluster, folder: this.#folder },
      onAnswer: (member, answer) => this.#hear(callers, member, answer),
      onEnded: (member) => callers.ended(member),
      onProblem: (problem) => this.#problems.push(problem),
    })
    const callers = new Callers(() => fleet, this.#seed, this.#meter)
    try {
      const begun = Promise.all(fleet.members.map((member) => fleet.start(member)))
      await within(begun, () => 'all processes to begin')
      await this.#goesOn('starting')
      for (const fault of this.#faults()) await this.#fail(fault, fleet)
      await this.#end(fleet, callers)
    } catch (error) {
      this.#ranOutOfTime(error)
    } finally {
      callers.close()
      await fleet.close()
    }
    return await this.#judge(fleet, callers)
  }

  #ranOutOfTime(error: unknown): void {
    if (!(error instanceof OutOfTime)) throw error
    this.#outOfTime ??= error.message
  }

  #faults(): readonly string[] {
    const names = Object.keys(faultsOf(this.#cluster))
    const first = this.#seed * faultsPerRound
    const chosen = Array.from(
      { length: faultsPerRound },
      (_, index) => names[(first + index) % names.length] ?? '',
    )
    return this.#options.faults ?? chosen
  }

  async #fail(name: string, fleet: Fleet): Promise<void> {
    const fault = faultsOf(this.#cluster)[name]
    if (fault === undefined) throw new TypeError(`nothing is called '${name}'`)
    const fromNs = nowNs()
    await within(fault({ fleet, random: this.#random }), () => `'${name}' to be over`)
    await this.#goesOn(name)
    this.#meter.failed(name, fromNs)
  }

  /** Waits until publishers and handlers of every partition have gone on. */
  async #goesOn(after: string): Promise<void> {
    const sinceNs = nowNs()
    await this.#until(
      () => this.#meter.standingStillSince(sinceNs).length === 0,
      () => `all to go on after '${after}': ${this.#meter.standingStillSince(sinceNs).join(', ')}`,
    )
  }

  /** Lets all be handled by one process, after the others have stopped. */
  async #end(fleet: Fleet, callers: Callers): Promise<void> {
    callers.end()
    await this.#until(
      () => callers.open === 0,
      () => `acknowledgements of ${callers.open} events and appends`,
    )
    const [last, ...others] = fleet.members
    for (const member of others) await fleet.stop(member)
    if (last === undefined) return
    fleet.ask(last, { settle: true })
    try {
      await this.#until(
        () => this.#settled !== undefined,
        () => 'the last process to be settled',
      )
    } catch (error) {
      if (error instanceof OutOfTime)
        throw new OutOfTime(`${error.message}: ${await this.#left(fleet, last)}`)
      throw error
    }
    await fleet.stop(last)
  }

  async #until(condition: () => boolean, what: () => string): Promise<void> {
    for (const deadlineMs = performance.now() + patienceMs; !condition(); await sleep(20)) {
      if (performance.now() > deadlineMs)
        throw new OutOfTime(`${inSeconds(patienceMs)} were too short for ${what()}`)
    }
  }

  /** What a process says that it still has to do. */
  async #left(fleet: Fleet, member: FleetMember): Promise<string> {
    fleet.ask(member, { outstanding: true })
    for (let waitedMs = 0; this.#outstanding === undefined && waitedMs < answersWithinMs; waitedMs += 20)
      await sleep(20)
    return this.#outstanding ?? 'it does not say what is left'
  }

  #hear(callers: Callers, member: FleetMember, answer: Answer): void {
    if ('worked' in answer) this.#meter.handled(answer.worked)
    else if ('settled' in answer) this.#settled = answer.settled
    else if ('outstanding' in answer) this.#outstanding = answer.outstanding
    else callers.hear(member, answer)
  }

  async #judge(fleet: Fleet, callers: Callers): Promise<ChaosRound> {
    const damage = await this.#cluster.damage()
    const history = await this.#history(fleet, callers)
    const { mayLose } = this.#cluster
    const ours = [...this.#problems, ...callers.problems, ...callers.appenders.problems]
    const breaches = [...ours, ...(mayLose ? [] : damage)]
    if (history !== undefined) {
      breaches.push(...breachesOf(history, { isFinished: this.#outOfTime === undefined }))
    }
    const log = history?.log ?? []
    const readable = new Set(log.map(({ event }) => event.id))
    for (const id of callers.givenUp) {
      if (readable.has(id)) breaches.push(`'${id}' was refused, and is in the log`)
    }
    if (breaches.length > 0 || this.#outOfTime !== undefined) {
      const lines = log.map((record) => `${JSON.stringify(record)}\n`)
      writeFileSync(join(this.#folder, 'log'), lines.join(''))
    } else rmSync(this.#folder, { recursive: true, force: true })
    return {
      engine: this.#engine,
      seed: this.#seed,
      breaches,
      damage: mayLose ? damage : [],
      outOfTime: this.#outOfTime,
      gaps: this.#meter.gaps,
      acknowledged: callers.acknowledged.length,
      ...callers.appenders.counts,
      attempts: history?.attempts.length ?? 0,
      refused: callers.givenUp.size,
      folder: this.#folder,
    }
  }

  /** Undefined where it cannot be read. */
  async #history(fleet: Fleet, { acknowledged, appenders }: Callers): Promise<History | undefined> {
    const log = this.#cluster.url(this.#cluster.ports)
    try {
      return await readKilledHistory({
        ...{ log, journals: fleet.journals, acknowledged, appends: appenders.told },
        settled: this.#outOfTime === undefined ? (this.#settled ?? {}) : undefined,
      })
    } catch (error) {
      if (error instanceof OutOfTime) this.#ranOutOfTime(error)
      else this.#problems.push(`what the log has cannot be read: ${String(error)}`)
      return undefined
    }
  }
}
