import type { Place } from '../../../src/log/port.ts'
import { SeededRandom } from '../../../src/testing/random.ts'

/** The log that every course works on. */
export const partitions = 2
export const topics = ['a', 'b', 'c'] as const
export const groups = ['g', 'h'] as const
export const deduplicationWindowMs = 1000

/** An entry by what it is made of, so that it can be sent to another process and printed. */
export interface PlannedEntry extends Place {
  readonly text: string
  readonly timeMs: number
  /** When the publisher chose the id. */
  readonly id?: string
}

interface OfClaim {
  readonly group: string
  readonly partition: number
}

/** A call of the port. */
export type Operation =
  | { readonly kind: 'createTopic'; readonly topic: string; readonly maxAgeMs: number }
  | { readonly kind: 'deleteTopic'; readonly topic: string }
  | { readonly kind: 'listTopics' }
  | { readonly kind: 'append'; readonly entries: readonly PlannedEntry[] }
  | {
      readonly kind: 'read'
      readonly at: Place
      readonly from: number
      readonly limits: { readonly records: number; readonly bytes: number }
    }
  | { readonly kind: 'bounds'; readonly at: Place }
  | { readonly kind: 'offsetAt'; readonly at: Place; readonly timeMs: number }
  | {
      readonly kind: 'trim'
      readonly at: Place
      readonly before?: number
      readonly beforeTimeMs?: number
      /** Stands for the `keepBytes` that keeps so many records. */
      readonly keepRecords?: number
    }
  | (OfClaim & {
      readonly kind: 'commit'
      readonly puts: readonly (readonly [key: string, text: string])[]
      readonly deletes: readonly string[]
      readonly appends: readonly PlannedEntry[]
      readonly needs: Readonly<Record<string, number>>
    })
  | (OfClaim & { readonly kind: 'get'; readonly keys: readonly string[] })
  | (OfClaim & { readonly kind: 'range'; readonly from: string; readonly to: string; readonly limit: number })
  /** Leaves the group and joins it again. */
  | { readonly kind: 'rejoin'; readonly group: string }

/** A call of several that are in flight at once, made after some turns of the event loop. */
export interface Call {
  readonly turns: number
  readonly operation: Operation
}

/** When the process is killed: after so many answers, or so many turns of the parent's event loop. */
export type Moment = { readonly answers: number } | { readonly turns: number }

/** A step of a course, at a time. Times never fall within a course. */
export type Step =
  | { readonly kind: 'one'; readonly nowMs: number; readonly operation: Operation }
  | { readonly kind: 'reopen'; readonly nowMs: number }
  | { readonly kind: 'kill'; readonly nowMs: number; readonly calls: readonly Call[]; readonly at: Moment }

const keys = ['', 'a', 'a\0', 'ab', 'b', 'é', '\uffff', '😀', 'long'.repeat(375)]
const ids = ['0', '1', '2', '3', '4', '5']
const startMs = Date.UTC(2026, 0, 1)

/** Draws the course of a seed. */
export class CourseMaker {
  readonly #random: SeededRandom
  #nowMs = startMs
  #made = 0

  constructor(seed: number) {
    this.#random = new SeededRandom(seed, 'differential course')
  }

  make(kills: number): Step[] {
    const steps: Step[] = topics.map((topic) => this.#one({ kind: 'createTopic', topic, maxAgeMs: 1 }))
    for (let kill = 0; kill < kills; kill += 1) {
      const count = this.#random.between(10, 40)
      for (let index = 0; index < count; index += 1) {
        this.#nowMs += this.#random.pick([0, 0, 1, 10, 300, deduplicationWindowMs])
        if (this.#random.chance(0.05)) steps.push({ kind: 'reopen', nowMs: this.#nowMs })
        else steps.push(this.#one(this.#operation()))
      }
      steps.push(this.#kill())
    }
    // What groups need shows only in what a trim leaves.
    for (const topic of topics) {
      for (let partition = 0; partition < partitions; partition += 1) {
        steps.push(this.#one({ kind: 'trim', at: { topic, partition }, before: Number.MAX_SAFE_INTEGER }))
      }
    }
    return steps
  }

  #one(operation: Operation): Step {
    return { kind: 'one', nowMs: this.#nowMs, operation }
  }

  #kill(): Step {
    const random = this.#random
    // An answer in flight tells that the calls before it hold: one of no entries would tell nothing.
    // Whether a trim sees what a call before it has not yet been answered for is open: it is not mixed with such calls.
    const trimmed = this.#place()
    const other = random.pick([() => this.#topicChange(), () => this.#trimInFlight(trimmed)])
    const calls = Array.from({ length: random.between(2, 30) }, () => ({
      turns: random.chance(0.7) ? 0 : this.#turns(),
      operation: random.chance(0.3)
        ? other()
        : random.chance(0.5)
          ? this.#append({ least: 1 })
          : this.#commit(),
    }))
    const at = random.chance(0.5) ? { answers: random.between(0, calls.length) } : { turns: this.#turns() }
    return { kind: 'kill', nowMs: this.#nowMs, calls, at }
  }

  /** Few or very many: a transaction takes thousands of turns. */
  #turns(): number {
    return Math.floor(2 ** (this.#random.next() * 13))
  }

  #operation(): Operation {
    const random = this.#random
    const makers: readonly (readonly [weight: number, make: () => Operation])[] = [
      [8, () => this.#append({ least: 0 })],
      [8, () => this.#commit()],
      [6, () => this.#read()],
      [2, () => this.#trim()],
      [2, () => ({ kind: 'offsetAt', at: this.#place(), timeMs: this.#nowMs - random.below(3000) + 500 })],
      [2, () => ({ kind: 'get', ...this.#ofClaim(), keys: [random.pick(keys), random.pick(keys)] })],
      [2, () => this.#range()],
      [1, () => ({ kind: 'bounds', at: this.#place() })],
      [1, () => ({ kind: 'createTopic', topic: random.pick(topics), maxAgeMs: random.between(1, 2) })],
      [0.7, () => ({ kind: 'deleteTopic', topic: random.pick(topics) })],
      [1, () => ({ kind: 'createTopic', topic: random.pick(topics), maxAgeMs: 1 })],
      [0.5, () => ({ kind: 'listTopics' })],
      [0.5, () => ({ kind: 'rejoin', group: random.pick(groups) })],
    ]
    let left = random.next() * makers.reduce((sum, [weight]) => sum + weight, 0)
    for (const [weight, make] of makers) {
      left -= weight
      if (left < 0) return make()
    }
    return this.#append({ least: 0 })
  }

  #append({ least }: { readonly least: number }): Operation {
    const count = this.#random.chance(0.6) ? 1 : this.#random.between(least, 6)
    return { kind: 'append', entries: this.#entries(count) }
  }

  #commit(): Operation {
    const random = this.#random
    this.#made += 1
    const puts = Array.from({ length: random.below(4) }, () => [random.pick(keys), this.#text()] as const)
    const needed = random.chance(0.4) ? { [random.pick(topics)]: random.below(15) } : {}
    return {
      kind: 'commit',
      ...this.#ofClaim(),
      // Every commit leaves a mark, so that one that holds is known from one that does not.
      puts: [...puts, ['mark', String(this.#made)]],
      deletes: Array.from({ length: random.below(3) }, () => random.pick(keys)),
      appends: this.#entries(random.below(3)),
      needs: needed,
    }
  }

  #entries(count: number): PlannedEntry[] {
    return Array.from({ length: count }, () => this.#entry())
  }

  /** The window is counted by the times of entries, and engines may count it by the clock: with ids they are the same. */
  #entry(): PlannedEntry {
    const random = this.#random
    const at = this.#place()
    if (random.chance(0.4)) {
      const id = random.pick(ids)
      return { ...at, text: random.chance(0.1) ? 'changed' : `text ${id}`, timeMs: this.#nowMs, id }
    }
    const timeMs = this.#nowMs - (random.chance(0.2) ? random.below(2000) : 0)
    return { ...at, text: this.#text(), timeMs }
  }

  #text(): string {
    this.#made += 1
    const sizes = [0, 0, 10, 100, 5000]
    return `${this.#made} ${'x'.repeat(this.#random.pick(sizes))}`
  }

  #read(): Operation {
    const random = this.#random
    const limits = { records: random.pick([0, 1, 3, 100]), bytes: random.pick([0, 300, 6000, 1_000_000]) }
    return { kind: 'read', at: this.#place(), from: random.below(25), limits }
  }

  #trim(): Operation {
    const random = this.#random
    return {
      kind: 'trim',
      at: this.#place(),
      ...(random.chance(0.5) ? { before: random.below(20) } : {}),
      ...(random.chance(0.3) ? { beforeTimeMs: this.#nowMs - random.below(1000) } : {}),
      ...(random.chance(0.3) ? { keepRecords: random.below(15) } : {}),
    }
  }

  #trimInFlight(at: Place): Operation {
    return { kind: 'trim', at, before: this.#random.below(20) }
  }

  #range(): Operation {
    const [from, to] = [this.#random.pick(keys), this.#random.pick(keys)]
    return { kind: 'range', ...this.#ofClaim(), from, to, limit: this.#random.below(6) }
  }

  /** Options differ each time, so that an empty topic is known from the one before it. */
  #topicChange(): Operation {
    const topic = this.#random.pick(topics)
    this.#made += 1
    if (this.#random.chance(0.5)) return { kind: 'deleteTopic', topic }
    return { kind: 'createTopic', topic, maxAgeMs: 1000 + this.#made }
  }

  #place(): Place {
    return { topic: this.#random.pick(topics), partition: this.#random.below(partitions) }
  }

  #ofClaim(): OfClaim {
    return { group: this.#random.pick(groups), partition: this.#random.below(partitions) }
  }
}
