import type { Runtime } from '../../core/runtime.ts'
import type { Output } from '../output.ts'
import { ProgressLine, progressText } from '../progress-line.ts'
import type { ByteSource } from './bytes.ts'
import type { IngestCounts } from './ingest.ts'

/** Shows how far a run has come: the lines, with their share where the size of the input is known. */
export class ProgressView {
  readonly #line: ProgressLine
  readonly #source: Omit<ByteSource, 'bytes'>
  readonly #startedMs: number

  constructor(output: Output, runtime: Pick<Runtime, 'now'>, source: Omit<ByteSource, 'bytes'>) {
    this.#line = new ProgressLine(output, runtime)
    this.#source = source
    this.#startedMs = runtime.now()
  }

  /** Shows the counts, unless they were shown a moment ago. */
  show(counts: Readonly<IngestCounts>): void {
    const { totalBytes } = this.#source
    this.#line.show((nowMs) =>
      progressText({
        done: counts.lines,
        what: 'lines',
        elapsedMs: nowMs - this.#startedMs,
        fraction: totalBytes === undefined ? undefined : this.#source.readBytes() / Math.max(1, totalBytes),
        bar: this.#line.onTerminal,
      }),
    )
  }

  /** Writes something in the place of the bar, which is drawn anew below it. */
  above(write: () => void): void {
    this.#line.above(write)
  }

  /** Takes the bar away. */
  end(): void {
    this.#line.end()
  }
}
