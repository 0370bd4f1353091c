import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { verifyState } from '../../src/bus/verify-state.ts'
import { realRuntime } from '../../src/core/real-runtime.ts'
import { verifyLmdb } from '../../src/engines/lmdb/verify/verify.ts'
import type { Offset } from '../../src/log/port.ts'
import type { History } from '../../src/testing/history.ts'
import { SeededRandom } from '../../src/testing/random.ts'
import { nextEvent, type TortureEvent } from './app.ts'
import { Appenders } from './appenders.ts'
import { DiskTrouble } from './disk-trouble.ts'
import type { RecordPlace } from './journal.ts'
import { breachesOf } from './judge.ts'
import { readKilledHistory } from './kill-history.ts'
import { KilledProcess } from './killed-process.ts'
import type { Answer } from './messages.ts'
import { Effort, OutOfTime, patienceMs, within } from './out-of-time.ts'

/** What became of one round. */
export interface KillRound {
  readonly seed: number
  /** Whether the disk failed now and then. */
  readonly disk: boolean
  /** What was broken, a sentence for each. */
  readonly breaches: readonly string[]
  /** What the round waited for in vain: then it came to no end, and only what must hold at any moment was judged. */
  readonly outOfTime: string | undefined
  readonly kills: number
  readonly acknowledged: number
  readonly attempts: number
  /** How many events were refused because of the disk and not published again. */
  readonly refused: number
  /** How many appends to streams were answered to be done, and how many to be refused. */
  readonly appended: number
  readonly conflicts: number
  readonly records: number
  readonly deadLetters: number
  /** Where the log and the journals of a failed round are. */
  readonly folder: string
}

/** Options of {@link killRound}. */
export interface KillOptions {
  /** Lets the disk of the processes fail now and then: fdatasync with EIO, writes with ENOSPC and EIO. */
  readonly disk?: boolean
  /** How long it waits for anything; {@link patienceMs} unless given. */
  readonly limitMs?: number
}

const inFlight = 12
const mostEvents = 500
/** How many appends there are for each event. */
const appendsPerEvent = 0.3
const startMs = 350
/** Each time that LMDB aborts the last process takes a fault of the disk, and there are few of these. */
const mostLast = 10
const answersWithinMs = 10_000
/** A process that begins runs for more than that in so long, wherever it is. */
const standsStill = { forMs: 60_000, ranMs: 200, times: 3 } as const

/**
 * Lets an application work on a log in a folder, kills its processes with SIGKILL at moments chosen by the seed, lets the
 * last one come to an end, and judges what the processes saw, what its parent was acknowledged, and what is on the disk.
 * The seed fixes the workload, the failures of handlers and the moments; how far a process is by then is the machine's.
 */
export async function killRound(seed: number, options: KillOptions = {}): Promise<KillRound> {
  return await new Round(seed, options).run()
}

class Round {
  readonly #seed: number
  readonly #random: SeededRandom
  readonly #data: SeededRandom
  readonly #folder: string
  readonly #open = new Map<string, TortureEvent>()
  readonly #acknowledged: (Partial<RecordPlace> & { readonly id: string })[] = []
  readonly #problems: string[] = []
  readonly #limitMs: number
  readonly #trouble: DiskTrouble | undefined
  /** Events that were refused because of the disk, and that nobody published again. */
  readonly #givenUp = new Set<string>()
  /** Events that were also published in a process that was killed before it could say what became of them. */
  readonly #publishedBefore = new Set<string>()
  readonly #appenders: Appenders<KilledProcess>
  #process: KilledProcess | undefined
  #published = 0
  #incarnation = 0
  #publishing = true
  #outOfTime: string | undefined
  #outstanding: string | undefined
  #settled: Readonly<Record<string, Offset>> | undefined
  #hasStopped = false
  #isReady = false
  #heard: () => void = () => {}
  #ready: Promise<void> = Promise.resolve()
  #nowReady: () => void = () => {}

  constructor(seed: number, { disk = false, limitMs = patienceMs }: KillOptions) {
    this.#seed = seed
    this.#limitMs = limitMs
    this.#random = new SeededRandom(seed, 'kills')
    this.#data = new SeededRandom(seed, 'torture')
    this.#folder = mkdtempSync(join(tmpdir(), 'millrace-torture-'))
    mkdirSync(join(this.#folder, 'log'))
    if (disk) this.#trouble = new DiskTrouble(join(this.#folder, 'fiu'), new SeededRandom(seed, 'disk'))
    this.#appenders = new Appenders({
      seed,
      next: () => (this.#isReady ? this.#process : undefined),
      ask: (process, request) => process.ask(request),
      allowed: () => this.#published * appendsPerEvent,
    })
  }

  async run(): Promise<KillRound> {
    const kills = this.#random.between(2, 5)
    try {
      for (let kill = 0; kill < kills; kill += 1) await this.#liveAndDie()
      await this.#liveToTheEnd()
    } catch (error) {
      this.#ranOutOfTime(error)
    } finally {
      this.#appenders.close()
      await this.#process?.kill()
    }
    return await this.#judge(kills)
  }

  #ranOutOfTime(error: unknown): void {
    if (!(error instanceof OutOfTime)) throw error
    this.#outOfTime ??= error.message
  }

  async #judge(kills: number): Promise<KillRound> {
    const history = await this.#history()
    const breaches = [...this.#problems, ...this.#appenders.problems]
    if (history !== undefined) {
      breaches.push(...breachesOf(history, { isFinished: this.#outOfTime === undefined }))
    }
    const readable = new Set(history?.log.map(({ event }) => event.id))
    for (const id of this.#givenUp)
      if (readable.has(id)) breaches.push(`'${id}' was refused, and is in the log`)
    for await (const { kind, where, problem } of this.#verify())
      breaches.push(`${kind} at ${where}: ${problem}`)
    const holds = breaches.length === 0 && this.#outOfTime === undefined
    if (holds) rmSync(this.#folder, { recursive: true, force: true })
    return {
      seed: this.#seed,
      disk: this.#trouble !== undefined,
      breaches,
      outOfTime: this.#outOfTime,
      kills,
      acknowledged: this.#acknowledged.length,
      attempts: history?.attempts.length ?? 0,
      refused: this.#givenUp.size,
      ...this.#appenders.counts,
      records: history?.log.length ?? 0,
      deadLetters: history?.deadLetters.length ?? 0,
      folder: this.#folder,
    }
  }

  /** Undefined where even that takes too long. */
  async #history(): Promise<History | undefined> {
    const journals = Array.from({ length: this.#incarnation }, (_, index) => this.#journalFile(index + 1))
    try {
      return await readKilledHistory({
        ...{ log: this.#log, journals, acknowledged: this.#acknowledged, appends: this.#appenders.told },
        settled: this.#outOfTime === undefined ? (this.#settled ?? {}) : undefined,
      })
    } catch (error) {
      this.#ranOutOfTime(error)
      return undefined
    }
  }

  #verify() {
    return verifyLmdb(join(this.#folder, 'log'), { runtime: realRuntime(), checkState: verifyState })
  }

  get #log(): string {
    return `lmdb:${join(this.#folder, 'log')}`
  }

  #journalFile(incarnation: number): string {
    return join(this.#folder, `journal-${incarnation}`)
  }

  /** Starts a process and kills it while it starts, works, or is being stopped. */
  async #liveAndDie(): Promise<void> {
    const before = this.#acknowledged.length
    const atStart = this.#random.chance(0.15)
    const acknowledgements = this.#random.between(1, 90)
    const laterMs = this.#random.chance(0.5) ? 0 : this.#random.between(1, 60)
    const stops = this.#random.chance(0.12)
    const process = atStart ? this.#start() : await this.#begin()
    if (!atStart) this.#trouble?.begin(process.pid, this.#ready)
    if (atStart) await sleep(this.#random.between(0, startMs))
    else {
      await this.#until('enough acknowledgements', () => {
        return this.#acknowledged.length - before >= acknowledgements || this.#isDone
      })
    }
    if (stops) process.ask({ stop: true })
    await sleep(laterMs)
    await this.#end(process)
  }

  /** Lets the last process handle all there is, and stops it, or kills it at rest. */
  async #liveToTheEnd(): Promise<void> {
    const troubled = await this.#begin()
    this.#trouble?.begin(troubled.pid, this.#ready)
    await this.#until('all acknowledgements', () => this.#open.size === 0 && this.#published > 0)
    await this.#trouble?.end()
    this.#publishing = false
    this.#appenders.end()
    const process = await this.#settle(troubled)
    if (process === undefined) return
    if (this.#random.chance(0.5)) {
      process.ask({ stop: true })
      await this.#until('its being stopped', () => this.#hasStopped)
    }
    await this.#end(process)
  }

  /**
   * Gives the process that has nothing left to do: the one that is there, or its successors. What the disk did to one before it was mended
   * may end it a moment later.
   */
  async #settle(troubled: KilledProcess): Promise<KilledProcess | undefined> {
    let process = troubled
    for (let count = 0; count < mostLast; count += 1) {
      if (process.hasEnded) {
        await this.#end(process)
        process = await this.#begin()
      }
      await this.#until('all answers', () => this.#open.size === 0 && this.#appenders.open === 0)
      process.ask({ settle: true })
      await this.#until('its being settled', () => this.#settled !== undefined)
      if (this.#settled !== undefined) return process
    }
    this.#problems.push(`the last process ended by itself ${mostLast} times`)
    return undefined
  }

  get #isDone(): boolean {
    return this.#published >= mostEvents && this.#open.size === 0
  }

  /** Starts a process; another one where libfiu has let it stand still before it began: see `FaultyDisk.environment`. */
  async #begin(): Promise<KilledProcess> {
    for (let times = 1; ; times += 1) {
      const process = this.#start()
      if (this.#trouble === undefined || times === standsStill.times) return process
      if (!(await this.#standsStill(process))) return process
      await this.#end(process)
    }
  }

  async #standsStill(process: KilledProcess): Promise<boolean> {
    const begun = Promise.race([this.#ready, process.closed])
    for (;;) {
      const effort = new Effort(process.pid)
      const late = sleep(standsStill.forMs, 'late' as const, { ref: false })
      if ((await Promise.race([begun, late])) !== 'late') return false
      if (effort.ranMs >= 0 && effort.ranMs < standsStill.ranMs) return true
    }
  }

  #start(): KilledProcess {
    this.#incarnation += 1
    const given = {
      log: this.#log,
      journalFile: this.#journalFile(this.#incarnation),
      seed: this.#seed,
      incarnation: this.#incarnation,
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#ready = promise
    this.#nowReady = resolve
    const process = new KilledProcess(
      given,
      (answer) => this.#hear(process, answer),
      this.#trouble?.environment,
    )
    this.#process = process
    process.closed.then(
      () => this.#heard(),
      () => {},
    )
    return process
  }

  async #end(process: KilledProcess): Promise<void> {
    await this.#trouble?.end()
    if (process.wasAborted && this.#trouble === undefined) this.#problems.push('a process was aborted')
    if (process.hasFailed) this.#problems.push(`process ${this.#incarnation} ended: ${process.errors}`)
    await process.kill()
    this.#isReady = false
    this.#process = undefined
    this.#appenders.ended(process)
  }

  #hear(process: KilledProcess, answer: Answer): void {
    this.#appenders.hear(process, answer)
    if ('ready' in answer) {
      this.#isReady = true
      this.#nowReady()
      for (const event of this.#open.values()) {
        if (this.#incarnation > 1) this.#publishedBefore.add(event.id)
        this.#process?.ask({ publish: event })
      }
    }
    if ('acknowledged' in answer) {
      this.#acknowledged.push(answer.acknowledged)
      this.#open.delete(answer.acknowledged.id)
    }
    if ('refused' in answer) this.#refused(answer.refused)
    if ('problem' in answer) this.#problems.push(answer.problem)
    if ('outstanding' in answer) this.#outstanding = answer.outstanding
    if ('settled' in answer) this.#settled = answer.settled
    if ('stopped' in answer) this.#hasStopped = true
    if ('ready' in answer || 'acknowledged' in answer || 'refused' in answer) this.#publish()
    this.#heard()
  }

  /** An event whose handler gave up, or was waited for too long, is durable all the same; any other is tried again. */
  #refused({ id, code }: { readonly id: string; readonly code: string }): void {
    const event = this.#open.get(id)
    if (['HANDLER_FAILED', 'WAIT_TIMEOUT', 'ALREADY_PUBLISHED'].includes(code)) {
      this.#acknowledged.push({ id })
      this.#open.delete(id)
    } else if (this.#trouble !== undefined && ['STORAGE_FAILED', 'LOG_FULL'].includes(code)) {
      this.#refusedByDisk(event, id)
    } else if (code !== 'LOG_CLOSED') {
      this.#problems.push(`publishing '${id}' was refused: ${code}`)
    } else if (event === undefined) {
      this.#problems.push(`'${id}' was refused after it was acknowledged`)
    }
  }

  /** Half of the publishers give up, and their events must never be there; the others try again a moment later. */
  #refusedByDisk(event: TortureEvent | undefined, id: string): void {
    // Who waits for handlers may be refused when the event is durable already, and so may who publishes it again.
    const isThere = event === undefined || event.waits || event.asks || this.#publishedBefore.has(id)
    if (!isThere && Number(id.slice(1)) % 2 === 0) {
      this.#givenUp.add(id)
      this.#open.delete(id)
      return
    }
    const process = this.#process
    setTimeout(() => event !== undefined && process?.ask({ publish: event }), 20)
  }

  /** Keeps so many events on their way; a process that is stopping takes none, and the next one gets them. */
  #publish(): void {
    while (this.#publishing && this.#open.size < inFlight && this.#published < mostEvents) {
      const event = nextEvent(this.#published, this.#data)
      this.#published += 1
      this.#open.set(event.id, event)
      this.#process?.ask({ publish: event })
      if (this.#data.chance(0.04)) this.#process?.ask({ redrive: this.#data.below(2 ** 31) })
    }
  }

  /** Waits for what comes true by what the process says, as long as it lives. Rejects with {@link OutOfTime}. */
  async #until(what: string, condition: () => boolean): Promise<void> {
    const process = this.#process
    if (process === undefined) return
    const effort = new Effort(process.pid)
    try {
      await within(this.#comesTrue(process, condition), () => what, this.#limitMs)
    } catch (error) {
      if (!(error instanceof OutOfTime)) throw error
      const effortMade = effort.toString()
      throw new OutOfTime([error.message, effortMade, await this.#whatIsOutstanding(process)].join('; '))
    }
  }

  async #comesTrue(process: KilledProcess, condition: () => boolean): Promise<void> {
    while (!condition() && !process.hasEnded) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve
      })
    }
  }

  async #whatIsOutstanding(process: KilledProcess): Promise<string> {
    const open = `${this.#open.size} of ${this.#published} events and ${this.#appenders.open} appends were open`
    if (!this.#isReady)
      return `process ${this.#incarnation} had not begun; ${open}; it said: ${process.errors}`
    process.ask({ outstanding: true })
    const answered = this.#comesTrue(process, () => this.#outstanding !== undefined)
    await within(answered, () => 'an answer', answersWithinMs).catch(() => {})
    const left = this.#outstanding ?? 'it does not say what is left'
    return `${open} at process ${this.#incarnation}: ${left}`
  }
}
