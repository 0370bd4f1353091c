import type { StepScheduler } from '../engines/memory/steps.ts'

/** Half of a port call that waits for the simulation to let it happen. */
export interface PendingStep {
  readonly process: string
  /** The call and its half, such as `commit:apply`. */
  readonly name: string
  readonly grant: () => void
}

/** The halves of port calls of all processes of a simulation that may happen next. */
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

  get count(): number {
    return this.#pending.length
  }

  /**
   * The steps that may happen next. The apply halves of one process's calls of one kind keep their order, which the
   * port promises; acknowledgements may overtake one another.
   */
  eligible(): readonly PendingStep[] {
    const first = new Set<string>()
    return this.#pending.filter(({ process, name }) => {
      if (!name.endsWith(':apply')) return true
      const line = `${process} ${name}`
      if (first.has(line)) return false
      first.add(line)
      return true
    })
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
