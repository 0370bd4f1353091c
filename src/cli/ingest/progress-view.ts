import type { Runtime } from '../../core/runtime.ts'
import type { Output } from '../output.ts'
import type { ByteSource } from './bytes.ts'
import type { IngestCounts } from './ingest.ts'

const redrawMs = 100
const lineEveryMs = 5000
const barWidth = 24

/**
 * Shows how far a run has come, on standard error: a bar with rate and time left on a terminal, otherwise a plain line now
 * and then, and nothing with `--json`.
 */
export class ProgressView {
  readonly #output: Output
  readonly #runtime: Pick<Runtime, 'now'>
  readonly #source: Omit<ByteSource, 'bytes'>
  readonly #onTerminal: boolean
  readonly #startedMs: number
  #shownMs: number
  #drawn = false

  constructor(output: Output, runtime: Pick<Runtime, 'now'>, source: Omit<ByteSource, 'bytes'>) {
    this.#output = output
    this.#runtime = runtime
    this.#source = source
    this.#onTerminal = output.stderr.isTTY === true
    this.#startedMs = runtime.now()
    this.#shownMs = this.#startedMs
  }

  /** Shows the counts, unless they were shown a moment ago. */
  show(counts: Readonly<IngestCounts>): void {
    const nowMs = this.#runtime.now()
    if (this.#output.json || nowMs - this.#shownMs < (this.#onTerminal ? redrawMs : lineEveryMs)) return
    this.#shownMs = nowMs
    const { totalBytes } = this.#source
    const text = progressText({
      lines: counts.lines,
      elapsedMs: nowMs - this.#startedMs,
      fraction: totalBytes === undefined ? undefined : this.#source.readBytes() / Math.max(1, totalBytes),
      bar: this.#onTerminal,
    })
    if (this.#onTerminal) this.#draw(text)
    else this.#output.note(text)
  }

  #draw(text: string): void {
    const columns = this.#output.stderr.columns || 80
    this.#output.stderr.write(`\r\x1b[K${text.slice(0, columns - 1)}`)
    this.#drawn = true
  }

  /** Writes something in the place of the bar, which is drawn anew below it. */
  above(write: () => void): void {
    this.end()
    write()
  }

  /** Takes the bar away. */
  end(): void {
    if (this.#drawn) this.#output.stderr.write('\r\x1b[K')
    this.#drawn = false
  }
}

/** What {@link progressText} shows. */
export interface ProgressFacts {
  readonly lines: number
  readonly elapsedMs: number
  /** How much of the input has been read, from 0 to 1; undefined where its size is not known. */
  readonly fraction: number | undefined
  /** Whether to draw a bar. */
  readonly bar: boolean
}

/** Progress in words: the bar, the share, the lines, their rate and the time left. */
export function progressText({ lines, elapsedMs, fraction, bar }: ProgressFacts): string {
  const rate = elapsedMs === 0 ? 0 : Math.round((lines * 1000) / elapsedMs)
  const parts = [`${lines} lines`, `${rate}/s`]
  if (fraction === undefined) return parts.join('  ')
  const share = Math.min(1, fraction)
  const filled = Math.round(share * barWidth)
  parts.unshift(`${String(Math.floor(share * 100)).padStart(3)}%`)
  if (bar) parts.unshift(`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`)
  if (share > 0) parts.push(`${duration((elapsedMs * (1 - share)) / share)} left`)
  return parts.join('  ')
}

function duration(durationMs: number): string {
  const seconds = Math.ceil(durationMs / 1000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  return minutes < 60
    ? `${minutes} min ${seconds % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
