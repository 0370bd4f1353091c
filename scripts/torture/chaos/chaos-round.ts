import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Offset } from '../../../src/log/port.ts'
import type { History } from '../../../src/testing/history.ts'
import { invariants } from '../../../src/testing/invariants/index.ts'
import { SeededRandom } from '../../../src/testing/random.ts'
import { torturePartitions } from '../app.ts'
import { readKilledHistory } from '../kill-history.ts'
import type { Answer } from '../messages.ts'
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
const limitMs = 90_000
/** Far more than it takes, since a busy machine lets many attempts run out of time. */
const endLimitMs = 240_000

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
      await Promise.all(fleet.members.map((member) => fleet.start(member)))
      await this.#goesOn('starting')
      for (const fault of this.#faults()) await this.#fail(fault, fleet)
      await this.#end(fleet, callers)
    } finally {
      callers.close()
      await fleet.close()
    }
    return await this.#judge(fleet, callers)
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
    await fault({ fleet, random: this.#random })
    await this.#goesOn(name)
    this.#meter.failed(name, fromNs)
  }

  /** Waits until publishers and handlers of every partition have gone on. */
  async #goesOn(after: string): Promise<void> {
    const sinceNs = nowNs()
    while (!this.#meter.hasGoneOnSince(sinceNs)) {
      if (nowNs() - sinceNs > limitMs * 1e6) {
        this.#problems.push(`after '${after}' it did not go on`)
        return
      }
      await sleep(20)
    }
  }

  /** Lets all be handled by one process, after the others have stopped. */
  async #end(fleet: Fleet, callers: Callers): Promise<void> {
    callers.end()
    const deadlineMs = performance.now() + endLimitMs
    while (callers.open > 0 && performance.now() < deadlineMs) await sleep(20)
    if (callers.open > 0) this.#problems.push(`${callers.open} events and appends were never acknowledged`)
    const [last, ...others] = fleet.members
    for (const member of others) await fleet.stop(member)
    if (last === undefined) return
    fleet.ask(last, { settle: true })
    while (this.#settled === undefined && performance.now() < deadlineMs) await sleep(20)
    if (this.#settled === undefined) this.#problems.push('it does not settle')
    await fleet.stop(last)
  }

  #hear(callers: Callers, member: FleetMember, answer: Answer): void {
    if ('worked' in answer) this.#meter.handled(answer.worked)
    else if ('settled' in answer) this.#settled = answer.settled
    else callers.hear(member, answer)
  }

  async #judge(fleet: Fleet, callers: Callers): Promise<ChaosRound> {
    const damage = await this.#cluster.damage()
    const history = await this.#history(fleet, callers)
    const { mayLose } = this.#cluster
    const ours = [...this.#problems, ...callers.problems, ...callers.appenders.problems]
    const breaches = [...ours, ...(mayLose ? [] : damage)]
    for (const [rule, invariant] of Object.entries(invariants)) {
      breaches.push(...invariant(history).map((what) => `${rule}: ${what}`))
    }
    const readable = new Set(history.log.map(({ event }) => event.id))
    for (const id of callers.givenUp) {
      if (readable.has(id)) breaches.push(`'${id}' was refused, and is in the log`)
    }
    if (breaches.length > 0) {
      const lines = history.log.map((record) => `${JSON.stringify(record)}\n`)
      writeFileSync(join(this.#folder, 'log'), lines.join(''))
    } else rmSync(this.#folder, { recursive: true, force: true })
    return {
      engine: this.#engine,
      seed: this.#seed,
      breaches,
      damage: mayLose ? damage : [],
      gaps: this.#meter.gaps,
      acknowledged: callers.acknowledged.length,
      ...callers.appenders.counts,
      attempts: history.attempts.length,
      refused: callers.givenUp.size,
      folder: this.#folder,
    }
  }

  async #history(fleet: Fleet, { acknowledged, appenders }: Callers): Promise<History> {
    const log = this.#cluster.url(this.#cluster.ports)
    try {
      return await readKilledHistory({
        ...{ log, journals: fleet.journals, acknowledged, appends: appenders.told },
        settled: this.#settled ?? {},
      })
    } catch (error) {
      this.#problems.push(`what the log has cannot be read: ${String(error)}`)
      const none = { subscriptions: [], attempts: [], log: [], deadLetters: [], parked: [], ledgers: [] }
      return { ...none, acknowledged: [], cursors: [], endedMs: 0 }
    }
  }
}
