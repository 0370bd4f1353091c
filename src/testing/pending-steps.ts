import type { StepScheduler } from '../engines/memory/steps.ts'

/** Half of a port call that waits for the simulation to let it happen. */
export interface PendingStep {
  readonly process: string
  /** The call and its half, such as `commit:apply`. */
  readonly name: string
  readonly grant: () => void
}

/** The halves of port calls of all processes of a simulation that may happen next, in any order: engines keep the rest. */
export class PendingSteps {
  #pending: PendingStep[] = []
  readonly #ended = new Set<string>()

  /** The scheduler that a process's engine is given. */
  of(process: string): StepScheduler {
    return {
      step: (name) =>
        new Promise((resolve) => {
          if (!this.#ended.has(process)) this.#pending.push({ process, name, grant: resolve })
        }),
    }
  }

  /** The steps, in the order in which they began to wait. */
  get all(): readonly PendingStep[] {
    return this.#pending
  }

  /** Lets a step happen. */
  grant(step: PendingStep): void {
    this.#pending.splice(this.#pending.indexOf(step), 1)
    step.grant()
  }

  /** Forgets the steps of a process that crashed: they never settle, and neither do later ones. */
  drop(process: string): void {
    this.#ended.add(process)
    this.#pending = this.#pending.filter((step) => step.process !== process)
  }
}
