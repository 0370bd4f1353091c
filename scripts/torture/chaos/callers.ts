import { SeededRandom } from '../../../src/testing/random.ts'
import { nextEvent, type TortureEvent } from '../app.ts'
import { Appenders } from '../appenders.ts'
import type { RecordPlace } from '../journal.ts'
import type { Answer } from '../messages.ts'
import type { Fleet, FleetMember } from './fleet.ts'
import type { GapMeter } from './gaps.ts'

/** A publish that was acknowledged; without a place where it is only known to be durable. */
export type Acknowledged = Partial<RecordPlace> & { readonly id: string }

interface Open {
  readonly event: TortureEvent
  asked: FleetMember | undefined
  sinceMs: number
  /** Whether an earlier attempt may have stored it. */
  mayBeThere: boolean
}

const everyMs = 30
const mostOpen = 150
/** How many appends to streams there are for each event. */
const appendsPerEvent = 0.1
/** So long a caller waits for an answer before it asks another process. */
const patienceMs = 1_000
const againMs = 50
const refusals = ['UNREACHABLE', 'LOG_FULL', 'OVERLOADED', 'LOG_CLOSED', 'STORAGE_FAILED']
/** The event is durable all the same. */
const durable = ['HANDLER_FAILED', 'WAIT_TIMEOUT', 'ALREADY_PUBLISHED']

/** Publishes and appends to streams all the time, by whichever process answers, and writes down what was acknowledged. */
export class Callers {
  readonly acknowledged: Acknowledged[] = []
  /** Events that were refused and not tried again: they must not be there. */
  readonly givenUp = new Set<string>()
  readonly problems: string[] = []
  readonly appenders: Appenders<FleetMember>
  readonly #fleet: () => Fleet
  readonly #random: SeededRandom
  readonly #meter: Pick<GapMeter, 'acknowledged' | 'refused'>
  readonly #open = new Map<string, Open>()
  readonly #timer: NodeJS.Timeout
  #published = 0
  #turn = 0
  #ended = false

  constructor(fleet: () => Fleet, seed: number, meter: Pick<GapMeter, 'acknowledged' | 'refused'>) {
    this.#fleet = fleet
    this.#random = new SeededRandom(seed, 'torture')
    this.#meter = meter
    this.appenders = new Appenders({
      seed,
      next: () => this.#next(),
      ask: (member, request) => this.#fleet().ask(member, request),
      allowed: () => this.#published * appendsPerEvent,
    })
    this.#timer = setInterval(() => this.#tick(), everyMs)
  }

  /** How many events and appends wait for an acknowledgement. */
  get open(): number {
    return this.#open.size + this.appenders.open
  }

  /** Since when the oldest of them has been waiting for one answer; undefined where there is none. */
  get oldestMs(): number | undefined {
    const [first] = this.#open.values()
    return first?.sinceMs
  }

  /** Publishes nothing new; what is open is still tried. */
  end(): void {
    this.#ended = true
    this.appenders.end()
  }

  close(): void {
    clearInterval(this.#timer)
    this.appenders.close()
  }

  hear(member: FleetMember, answer: Answer): void {
    this.appenders.hear(member, answer)
    if ('acknowledged' in answer) this.#acknowledge(answer.acknowledged)
    if ('refused' in answer) this.#refused(member, answer.refused)
    if ('problem' in answer) this.problems.push(answer.problem)
  }

  /** What was asked of a process that has ended is asked of another. */
  ended(member: FleetMember): void {
    for (const open of this.#open.values()) if (open.asked === member) this.#again(open)
    this.appenders.ended(member)
  }

  #tick(): void {
    const now = performance.now()
    for (const open of this.#open.values()) {
      if (open.asked === undefined ? now >= open.sinceMs : now >= open.sinceMs + patienceMs) this.#ask(open)
    }
    if (this.#ended || this.#open.size >= mostOpen) return
    const event = nextEvent(this.#published, this.#random)
    this.#published += 1
    const open = { event, asked: undefined, sinceMs: now, mayBeThere: false }
    this.#open.set(event.id, open)
    this.#ask(open)
    if (this.#random.chance(0.02)) this.#next()?.process?.ask({ redrive: this.#random.below(2 ** 31) })
  }

  #next(): FleetMember | undefined {
    const ready = this.#fleet().members.filter(({ isReady }) => isReady)
    this.#turn += 1
    return ready[this.#turn % ready.length]
  }

  #ask(open: Open): void {
    const member = this.#next()
    if (open.asked !== undefined) open.mayBeThere = true
    open.asked = member
    open.sinceMs = performance.now()
    if (member !== undefined) this.#fleet().ask(member, { publish: open.event })
  }

  /** Tries again a moment later. */
  #again(open: Open): void {
    open.mayBeThere = true
    open.asked = undefined
    open.sinceMs = performance.now() + againMs
  }

  #acknowledge(acknowledged: Acknowledged): void {
    this.#meter.acknowledged()
    if (this.#open.delete(acknowledged.id)) this.acknowledged.push(acknowledged)
    else if (this.givenUp.has(acknowledged.id)) {
      this.problems.push(`'${acknowledged.id}' was refused, and acknowledged later`)
    }
  }

  #refused(member: FleetMember, { id, code }: { readonly id: string; readonly code: string }): void {
    const open = this.#open.get(id)
    if (durable.includes(code)) {
      this.#acknowledge({ id })
      return
    }
    if (!refusals.includes(code)) this.problems.push(`publishing '${id}' was refused: ${code}`)
    // A process that stops answers those who ask it so; they ask another.
    if (code !== 'LOG_CLOSED') this.#meter.refused(code)
    if (open === undefined || open.asked !== member) return
    // Who is told that there is no room may give up; then the event must never be there.
    const mayGiveUp = code === 'LOG_FULL' && !open.mayBeThere && !open.event.waits && !open.event.asks
    if (!mayGiveUp || Number(id.slice(1)) % 2 === 0) {
      this.#again(open)
      return
    }
    this.givenUp.add(id)
    this.#open.delete(id)
  }
}
