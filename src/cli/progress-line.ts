import type { Runtime } from '../core/runtime.ts'
import type { Output } from './output.ts'

const redrawMs = 100
const lineEveryMs = 5000
const barWidth = 24

/**
 * Shows how far something has come, on standard error: a line that is drawn anew on a terminal, otherwise a plain line now and then,
 * and nothing with `--json`.
 */
export class ProgressLine {
  /** Whether there is a terminal, on which a bar can be drawn. */
  readonly onTerminal: boolean
  readonly #output: Output
  readonly #runtime: Pick<Runtime, 'now'>
  #shownMs: number
  #drawn = false

  constructor(output: Output, runtime: Pick<Runtime, 'now'>) {
    this.#output = output
    this.#runtime = runtime
    this.onTerminal = output.stderr.isTTY === true
    this.#shownMs = runtime.now()
  }

  /** Shows what `text` gives for the time now, unless something was shown a moment ago. */
  show(text: (nowMs: number) => string): void {
    const nowMs = this.#runtime.now()
    if (this.#output.json || nowMs - this.#shownMs < (this.onTerminal ? redrawMs : lineEveryMs)) return
    this.#shownMs = nowMs
    if (this.onTerminal) this.#draw(text(nowMs))
    else this.#output.note(text(nowMs))
  }

  #draw(text: string): void {
    const columns = this.#output.stderr.columns || 80
    this.#output.stderr.write(`\r\x1b[K${text.slice(0, columns - 1)}`)
    this.#drawn = true
  }

  /** Writes something in the place of the line, which is drawn anew below it. */
  above(write: () => void): void {
    this.end()
    write()
  }

  /** Takes the line away. */
  end(): void {
    if (this.#drawn) this.#output.stderr.write('\r\x1b[K')
    this.#drawn = false
  }
}

/** What {@link progressText} shows. */
export interface ProgressFacts {
  /** How many are done, of what. */
  readonly done: number
  readonly what: string
  readonly elapsedMs: number
  /** How much of the whole is done, from 0 to 1; undefined where its size is not known. */
  readonly fraction: number | undefined
  /** How much of it was done before `elapsedMs` began, as by an earlier run; 0 unless given. */
  readonly fractionBefore?: number
  /** Whether to draw a bar. */
  readonly bar: boolean
}

/** Progress in words: the bar, the share, how many are done, their rate and the time left. */
export function progressText(facts: ProgressFacts): string {
  const { done, what, elapsedMs, fraction, fractionBefore = 0, bar } = facts
  const rate = elapsedMs === 0 ? 0 : Math.round((done * 1000) / elapsedMs)
  const parts = [`${done} ${what}`, `${rate}/s`]
  if (fraction === undefined) return parts.join('  ')
  const share = Math.min(1, fraction)
  const filled = Math.round(share * barWidth)
  parts.unshift(`${String(Math.floor(share * 100)).padStart(3)}%`)
  if (bar) parts.unshift(`${'█'.repeat(filled)}${'░'.repeat(barWidth - filled)}`)
  const since = share - fractionBefore
  if (since > 0) parts.push(`${duration((elapsedMs * (1 - share)) / since)} left`)
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
