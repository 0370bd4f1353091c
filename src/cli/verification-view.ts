import type { Runtime } from '../core/runtime.ts'
import type { VerificationProgress } from '../log/verification.ts'
import type { Output } from './output.ts'

const redrawMs = 100

/** How far a verification has come: on a terminal a line on standard error with its rate. */
export class VerificationView {
  readonly #output: Output
  readonly #runtime: Pick<Runtime, 'now'>
  readonly #startedMs: number
  #drawnMs = 0
  #isDrawn = false
  /** The last that it was told. */
  counts: VerificationProgress = { rows: 0, totalRows: 0, records: 0, stateValues: 0, bytes: 0 }

  constructor(output: Output, runtime: Pick<Runtime, 'now'>) {
    this.#output = output
    this.#runtime = runtime
    this.#startedMs = runtime.now()
  }

  /** The time since it was made, in milliseconds. */
  get elapsedMs(): number {
    return Math.max(0, this.#runtime.now() - this.#startedMs)
  }

  /** Takes note of how far it is, and says so when it is time. */
  show(counts: VerificationProgress): void {
    this.counts = { ...counts }
    const { stderr, json } = this.#output
    const nowMs = this.#runtime.now()
    if (json || stderr.isTTY !== true || nowMs - this.#drawnMs < redrawMs) return
    this.#drawnMs = nowMs
    this.#isDrawn = true
    const { rows, totalRows, bytes } = counts
    const share = Math.floor((100 * rows) / Math.max(1, totalRows))
    const seconds = Math.max(1, this.elapsedMs) / 1000
    const rate = `${Math.round(rows / seconds)} rows/s  ${(bytes / 1e6 / seconds).toFixed(1)} MB/s`
    const text = `${String(share).padStart(3)}%  ${rows} of ${totalRows} rows  ${rate}`
    stderr.write(`\r\x1b[K${text.slice(0, (stderr.columns || 80) - 1)}`)
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#isDrawn) this.#output.stderr.write('\r\x1b[K')
    this.#isDrawn = false
  }
}
