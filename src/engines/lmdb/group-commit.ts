import type { Runtime } from '../../core/runtime.ts'
import type { Store } from './store.ts'
import { turn } from './turn.ts'
import { Writes } from './writes.ts'

/** Something that is to become part of a transaction. */
export interface Step<Staged, T = Staged> {
  /** What it adds to the transaction, approximately. */
  readonly sizeBytes: number
  /**
   * Called when its transaction is put together, after all earlier steps. Adds its writes and gives the answer that is
   * due once they are durable; or throws, and then it must have added and changed nothing.
   */
  stage(writes: Writes): Staged
  /** Makes the answer of what was staged, where that is not the answer itself. */
  answer?(staged: Staged): T
}

/** What every transaction does beside its steps. */
export interface TransactionHooks {
  /** Called before the first step is staged. */
  before(writes: Writes): void
  /** Called when the last step was staged. */
  staged(writes: Writes): void
  /** Called when the transaction is durable and its steps are answered. */
  after(writes: Writes): void
}

/** A step on its way. Never a literal, since V8 comes to take those for such as live long; see *What was tried*. */
class Waiting {
  readonly step: Step<unknown>
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: unknown) => void
  /** What the step gave when it was staged. */
  staged: unknown

  constructor(step: Step<unknown>, resolve: (answer: unknown) => void, reject: (error: unknown) => void) {
    this.step = step
    this.resolve = resolve
    this.reject = reject
  }
}

/** A transaction that is durable, and those of its steps that are not answered yet. */
interface Durable {
  readonly steps: Waiting[]
  readonly writes: Writes
}

/** A transaction takes no further step when it has reached this size. */
const enoughBytes = 16 * 1024 * 1024
const enoughSteps = 16_384
/** Turns of the microtask queue: enough for callers that were just answered to come back with their next step. */
const turnsToGather = 16
/** Over how many transactions durations are averaged. */
const averagedOver = 16

/**
 * Puts all that comes while a transaction is being written into the next one. One is under way at a time, so a failed
 * one takes nothing down that was built on it.
 */
export class GroupCommit {
  readonly #store: Store
  readonly #runtime: Runtime
  #waiting: Waiting[] = []
  #running = false
  /** Told as soon as so many steps wait. */
  #comingBack: { readonly count: number; told(): void } | undefined
  #whenIdle: (() => void)[] = []
  /** What passes on average from when a transaction is durable until this thread has nothing to do but wait for the next, and from then on. */
  #workMs = 0
  #idleMs = 0
  readonly #hooks: TransactionHooks

  constructor(store: Store, runtime: Runtime, hooks: TransactionHooks) {
    this.#store = store
    this.#runtime = runtime
    this.#hooks = hooks
  }

  /** Resolves once the step is durable. Steps are staged in the order of the calls. */
  submit<Staged, T = Staged>(step: Step<Staged, T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#waiting.push(new Waiting(step as Step<unknown>, resolve as Waiting['resolve'], reject))
      if (this.#waiting.length === this.#comingBack?.count) this.#comingBack.told()
      if (this.#running) return
      this.#running = true
      this.#runtime.spawn('lmdb group commit', () => this.#run())
    })
  }

  /** Resolves when no step waits or is being written. */
  idle(): Promise<void> {
    return this.#running ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve()
  }

  async #run(): Promise<void> {
    let durable: Durable | undefined
    for (;;) {
      const durableMs = this.#runtime.now()
      const known = this.#waiting.length + (durable?.steps.length ?? 0)
      if (durable !== undefined) this.#answer(durable, this.#answeredFirst(durable.steps.length))
      await this.#callersToComeBack()
      if (durable?.steps.length === 0) await this.#halfToComeBack(known >> 1)
      const written = this.#waiting.length === 0 ? undefined : this.#commit(this.#take())
      const left = durable?.steps.length ?? 0
      if (durable !== undefined && left > 0) this.#answer(durable, left)
      if (written === undefined && left === 0) break
      await this.#callersToComeBack()
      const idleMs = this.#runtime.now()
      durable = await written
      this.#workMs += (idleMs - durableMs - this.#workMs) / averagedOver
      this.#idleMs += (this.#runtime.now() - idleMs - this.#idleMs) / averagedOver
    }
    this.#running = false
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  /**
   * How many steps of a transaction are answered before the next one begins. Where this thread takes longer for what comes of the
   * answers than the disk for a transaction, half of all that are known share the next one, so that one half is written while the
   * other comes back. Where the disk takes longer, all of them: the fewer transactions the better.
   */
  #answeredFirst(count: number): number {
    if (this.#idleMs >= this.#workMs) return count
    return Math.max(0, (count - this.#waiting.length) >> 1)
  }

  async #callersToComeBack(): Promise<void> {
    for (let count = 0; count < turnsToGather; count += 1) await undefined
  }

  /**
   * Callers who come by sockets are back one after the other, in turns of the event loop to come. There is no transaction until half
   * of all that are known wait, or a turn has brought nobody: otherwise the first would be written alone, and all others together
   * behind it, with nobody left to work for meanwhile.
   */
  async #halfToComeBack(half: number): Promise<void> {
    if (this.#waiting.length >= half) return
    const back = new Promise<void>((resolve) => {
      this.#comingBack = { count: half, told: resolve }
    })
    // The turn that is under way may have begun before they were answered.
    await Promise.race([back, turn()])
    let before: number
    do {
      before = this.#waiting.length
      await Promise.race([back, turn()])
    } while (before < this.#waiting.length && this.#waiting.length < half)
    this.#comingBack = undefined
  }

  /**
   * Answers some steps of a transaction, and after the last of them tells that it is durable: whoever appended keeps what
   * those that are told come for.
   */
  #answer({ steps, writes }: Durable, count: number): void {
    for (const { step, resolve, staged } of steps.splice(0, count))
      resolve(step.answer === undefined ? staged : step.answer(staged))
    if (steps.length === 0) this.#hooks.after(writes)
  }

  #take(): Waiting[] {
    let bytes = 0
    let count = 0
    for (const { step } of this.#waiting) {
      if (count > 0 && (bytes + step.sizeBytes > enoughBytes || count >= enoughSteps)) break
      bytes += step.sizeBytes
      count += 1
    }
    if (count === this.#waiting.length) {
      const all = this.#waiting
      this.#waiting = []
      return all
    }
    return this.#waiting.splice(0, count)
  }

  /** Writes steps as one transaction; gives those that are durable now and wait for their answer, undefined when it failed. */
  async #commit(steps: readonly Waiting[]): Promise<Durable | undefined> {
    const writes = new Writes()
    const staged: Waiting[] = []
    try {
      await this.#store.recovery()
      this.#hooks.before(writes)
      for (const step of steps) {
        try {
          step.staged = step.step.stage(writes)
          staged.push(step)
        } catch (error) {
          step.reject(error)
        }
      }
      this.#hooks.staged(writes)
      if (!writes.empty) await this.#store.write(writes)
    } catch (error) {
      writes.rollBack()
      for (const step of steps) step.reject(error)
      return undefined
    }
    writes.commit()
    return { steps: staged, writes }
  }
}
