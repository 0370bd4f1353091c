import type { MoveProgress } from '../../app/moving/move-log.ts'
import type { Runtime } from '../../core/runtime.ts'
import type { Output } from '../output.ts'
import { ProgressLine, progressText } from '../progress-line.ts'

const units = {
  records: 'records',
  state: 'state values',
  ids: 'ids',
  verifying: 'records verified',
} as const satisfies Record<MoveProgress['phase'], string>

/** Shows how far a move has come: one phase after the other, each with a share, a rate and the time left of its own. */
export class MoveView {
  readonly #line: ProgressLine
  readonly #runtime: Pick<Runtime, 'now'>
  #phase: MoveProgress['phase'] | undefined
  #startedMs = 0
  /** What an earlier run had done already has no part in the time that is left. */
  #firstFraction = 0

  constructor(output: Output, runtime: Pick<Runtime, 'now'>) {
    this.#line = new ProgressLine(output, runtime)
    this.#runtime = runtime
  }

  /** Takes note of how far it is, and shows it when it is time. */
  show({ phase, done, fraction }: MoveProgress): void {
    if (phase !== this.#phase) {
      this.#phase = phase
      this.#startedMs = this.#runtime.now()
      this.#firstFraction = 0
    }
    if (done === 0) this.#firstFraction = fraction ?? 0
    this.#line.show((nowMs) =>
      progressText({
        done,
        what: units[phase],
        elapsedMs: nowMs - this.#startedMs,
        fraction,
        fractionBefore: this.#firstFraction,
        bar: this.#line.onTerminal,
      }),
    )
  }

  /** Takes the line away. */
  end(): void {
    this.#line.end()
  }
}
