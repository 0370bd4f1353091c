import type { RunningApp } from '../app/running.ts'
import { messageOf } from '../core/errors.ts'
import { SeededRandom } from './random.ts'
import type { SimulatedProcess, World } from './simulated-process.ts'

/** Somebody who does something to a process now and then, such as changing rules. Everything random must come from `random`. */
export type Operate = (running: RunningApp, random: SeededRandom) => Promise<unknown>

/** How likely it is that the operator does something at a step. */
const chance = 0.01

/** The operator of a simulation. What is done may fail as long as other things do, and nobody waits for it. */
export class Operator {
  readonly #world: World
  readonly #operate: Operate
  readonly #processes: readonly SimulatedProcess[]
  readonly #random: SeededRandom

  constructor(world: World, operate: Operate, processes: readonly SimulatedProcess[]) {
    this.#world = world
    this.#operate = operate
    this.#processes = processes
    this.#random = new SeededRandom(world.seed, 'operator')
  }

  /** Lets the operator do something, or nothing. */
  step(): void {
    const running = this.#processes.flatMap((process) => process.running ?? [])
    if (running.length === 0 || !this.#random.chance(chance)) return
    const { recorder } = this.#world
    recorder.line('the operator does something')
    this.#operate(this.#random.pick(running), this.#random).then(
      () => {},
      (error: unknown) => recorder.line(`what the operator did failed: ${messageOf(error)}`),
    )
  }
}
