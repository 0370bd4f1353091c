import type { FaultPlan } from './faults.ts'
import type { Attempt } from './history.ts'
import { SeededRandom } from './random.ts'

/** What goes wrong in one attempt. */
export interface HandlerFault {
  readonly kind: 'throw-first' | 'throw-last' | 'terminal' | 'slow' | 'hang' | 'once'
  /** For `slow` and `hang`: how long it takes. */
  readonly durationMs: number
}

const kinds = ['throw-first', 'throw-last', 'terminal', 'slow', 'hang', 'once'] as const
const weights: readonly (typeof kinds)[number][] = [
  'throw-first',
  'throw-first',
  'throw-last',
  'throw-last',
  'throw-last',
  'terminal',
  'slow',
  'slow',
  'slow',
  'hang',
  'once',
]

/** Events that fail at every attempt, as a share of the rate of handler faults. */
const poisonShare = 0.15

/** Decides by seed, event and attempt what goes wrong in handlers, so that the order of attempts changes nothing. */
export class HandlerFaults {
  readonly #seed: number
  readonly #plan: FaultPlan
  readonly #attempts = new Map<string, number>()

  constructor(seed: number, plan: FaultPlan) {
    this.#seed = seed
    this.#plan = plan
  }

  /** The fault of an attempt; undefined when it is left alone. */
  of(attempt: Attempt, timeoutMs: number): HandlerFault | undefined {
    const delivery = `${attempt.handler} ${attempt.source} ${attempt.id}`
    const count = (this.#attempts.get(delivery) ?? 0) + 1
    this.#attempts.set(delivery, count)
    const rate = this.#plan.rate('handler')
    if (rate === 0) return undefined
    const poisoned = new SeededRandom(this.#seed, `poison ${delivery}`).chance(rate * poisonShare)
    const random = new SeededRandom(this.#seed, `attempt ${delivery} ${count}`)
    const kind = poisoned ? 'throw-last' : random.chance(rate) ? random.pick(weights) : undefined
    if (kind === undefined) return undefined
    const durationMs = kind === 'hang' ? timeoutMs * random.between(1, 3) + 1 : random.between(1, 2_000)
    return this.#plan.take('handler', () => `${kind} in ${attempt.nonce}`) ? { kind, durationMs } : undefined
  }
}
