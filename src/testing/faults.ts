import { SeededRandom } from './random.ts'

/**
 * What a simulation can do to an application:
 * - `crash`: a process ends between any two steps, and starts again later on what was applied
 * - `stop`: a process is stopped as on SIGTERM, and starts again
 * - `session`: a process loses its claims to others before it knows
 * - `storage`: a port call fails, before it was applied or after
 * - `delay`: time passes while port calls are on their way
 * - `handler`: handlers throw before or after their effects, give up, are slow, or outlast their time
 * - `clock`: the wall clock of a process jumps
 * - `redrive`: somebody hands a dead letter back, whether or not it still waits
 */
export const faultKinds = [
  'crash',
  'stop',
  'session',
  'storage',
  'delay',
  'handler',
  'clock',
  'redrive',
] as const

/** A kind of fault; see {@link faultKinds}. */
export type FaultKind = (typeof faultKinds)[number]

/** How likely each kind is, from 0 to 1, whenever it could happen; what is absent never does. */
export type FaultRates = Readonly<Partial<Record<FaultKind, number>>>

/** The rates that a kind has unless another is given. */
export const defaultFaultRates: Readonly<Record<FaultKind, number>> = {
  crash: 0.003,
  stop: 0.001,
  session: 0.003,
  storage: 0.01,
  delay: 0.05,
  handler: 0.3,
  clock: 0.002,
  redrive: 0.02,
}

/** Kinds of fault at their default rates, or a rate for each. */
export type Faults = readonly FaultKind[] | FaultRates

/** The rates of faults in either form. Throws `TypeError` for a kind that is none. */
export function faultRates(faults: Faults): FaultRates {
  const rates = Array.isArray(faults)
    ? Object.fromEntries((faults as readonly FaultKind[]).map((kind) => [kind, defaultFaultRates[kind]]))
    : (faults as FaultRates)
  for (const [kind, rate] of Object.entries(rates)) {
    if (!faultKinds.includes(kind as FaultKind) || !(typeof rate === 'number' && rate >= 0 && rate <= 1)) {
      throw new TypeError(`'${kind}' at ${rate} is no fault; use ${faultKinds.join(', ')}, from 0 to 1`)
    }
  }
  return rates
}

/** Rates as one word, such as `crash,handler=0.8`; kinds at their default rate stand alone. */
export function writeFaultRates(rates: FaultRates): string {
  return Object.entries(rates)
    .map(([kind, rate]) => (rate === defaultFaultRates[kind as FaultKind] ? kind : `${kind}=${rate}`))
    .join(',')
}

/** The rates that {@link writeFaultRates} wrote. Throws `TypeError` for a kind or a rate that is none. */
export function parseFaultRates(text: string): FaultRates {
  const pairs = text
    .split(',')
    .filter(Boolean)
    .map((part): [string, number] => {
      const [kind = '', rate] = part.split('=')
      return [kind, rate === undefined ? (defaultFaultRates[kind as FaultKind] ?? Number.NaN) : Number(rate)]
    })
  return faultRates(Object.fromEntries(pairs))
}

/** Options of {@link FaultPlan}. */
export interface FaultPlanOptions {
  readonly seed: number
  readonly rates: FaultRates
  /** Numbers of faults that are left out, so that a failing history can be made shorter. */
  readonly without: ReadonlySet<number>
  readonly onFault: (line: string) => void
}

/** Decides by seed which faults happen. Each that does has a number, by which it can be left out of another run. */
export class FaultPlan {
  readonly #options: FaultPlanOptions
  readonly #random: Readonly<Record<FaultKind, SeededRandom>>
  readonly #happened: number[] = []
  #count = 0
  #active = false

  constructor(options: FaultPlanOptions) {
    this.#options = options
    this.#random = Object.fromEntries(
      faultKinds.map((kind) => [kind, new SeededRandom(options.seed, `fault ${kind}`)]),
    ) as Record<FaultKind, SeededRandom>
  }

  /** The numbers of the faults that happened. */
  get happened(): readonly number[] {
    return this.#happened
  }

  /** The generator for the details of faults of a kind. */
  random(kind: FaultKind): SeededRandom {
    return this.#random[kind]
  }

  /** Whether faults can still happen. */
  get active(): boolean {
    return this.#active
  }

  /** Whether a fault happens now, which is drawn anew for each call; `weight` multiplies its rate. */
  happens(kind: FaultKind, what: () => string, weight = 1): boolean {
    const rate = this.rate(kind) * weight
    if (rate === 0 || !this.#random[kind].chance(rate)) return false
    return this.take(kind, what)
  }

  /** Gives a number to a fault whose chance was drawn already; false when it is left out. */
  take(kind: FaultKind, what: () => string): boolean {
    const number = this.#count
    this.#count += 1
    if (this.#options.without.has(number)) return false
    this.#happened.push(number)
    this.#options.onFault(`fault #${number} ${kind}: ${what()}`)
    return true
  }

  /** The rate of a kind at present. */
  rate(kind: FaultKind): number {
    return this.#active ? (this.#options.rates[kind] ?? 0) : 0
  }

  /** From now on faults can happen. */
  begin(): void {
    this.#active = true
  }

  /** From now on nothing happens any more. */
  end(): void {
    this.#active = false
  }
}
