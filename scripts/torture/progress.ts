import { gapTable } from './chaos/gap-table.ts'
import type { EngineGap, TaskResult } from './tasks.ts'

const redrawMs = 100
const lineEveryMs = 10_000

type Sums = { -readonly [Name in keyof Omit<TaskResult, 'failures' | 'gaps' | 'notes' | 'kept'>]: number } & {
  failed: number
}

/** How far a run has come: on a terminal one line that is drawn anew, elsewhere a line every ten seconds. */
export class Progress {
  readonly sums: Sums = {
    seeds: 0,
    rounds: 0,
    kills: 0,
    acknowledged: 0,
    attempts: 0,
    notJudged: 0,
    failed: 0,
  }
  readonly #gaps: EngineGap[] = []
  readonly #total: { readonly seeds: number; readonly rounds: number }
  readonly #startedMs = performance.now()
  #drawnMs = performance.now()

  constructor(total: { readonly seeds: number; readonly rounds: number }) {
    this.#total = total
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs
  }

  /** Adds what became of a task, and says so when it is time. */
  add({ failures, gaps, kept: _, notes = [], ...counts }: TaskResult): void {
    this.#gaps.push(...gaps)
    for (const [name, count] of Object.entries(counts)) this.sums[name as keyof Sums] += count
    this.sums.failed += failures.length
    for (const text of [...notes, ...failures.map(({ message }) => message)]) this.#print(`${text}\n\n`)
    const now = performance.now()
    if (now - this.#drawnMs < (process.stderr.isTTY ? redrawMs : lineEveryMs)) return
    this.#drawnMs = now
    const line = this.#line()
    process.stderr.write(
      process.stderr.isTTY ? `\r\x1b[K${line.slice(0, (process.stderr.columns || 81) - 1)}` : `${line}\n`,
    )
  }

  #line(): string {
    const { seeds, rounds, failed, notJudged } = this.sums
    const [done, total] = this.#total.seeds > 0 ? [seeds, this.#total.seeds] : [rounds, this.#total.rounds]
    const share = Math.min(done / Math.max(1, total), 1)
    const leftMinutes = share > 0 ? (this.elapsedMs / 60_000) * (1 / share - 1) : 0
    return [
      `${Math.floor(share * 100)}%`,
      `${count(seeds)} of ${count(this.#total.seeds)} seeds`,
      `${count(rounds)} of ${count(this.#total.rounds)} rounds`,
      `${failed} failed`,
      ...(notJudged > 0 ? [`${notJudged} not judged: out of time`] : []),
      `${Math.round(seeds / (this.elapsedMs / 1000))} seeds/s`,
      `${leftMinutes.toFixed(1)} min left`,
    ].join(' · ')
  }

  #print(text: string): void {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
    process.stdout.write(text)
  }

  /** Whether all that was done was judged, and no rule was broken. */
  get holds(): boolean {
    return this.sums.failed + this.sums.notJudged === 0
  }

  /** Says what was done, which may not be all that was wanted, and whether all rules held. */
  summarize({ isWhole }: { readonly isWhole: boolean }): void {
    const { seeds, rounds, kills, acknowledged, attempts, failed, notJudged } = this.sums
    this.#print(
      [
        `${count(seeds)} seeds simulated, ${count(rounds)} rounds with ${count(kills)} kills, in ${(this.elapsedMs / 60_000).toFixed(1)} min`,
        `${count(acknowledged)} events acknowledged, ${count(attempts)} attempts`,
        ...gapTable(this.#gaps),
        ...(failed > 0 ? [`${failed} failed: see above`] : []),
        ...(notJudged > 0 ? [`${notJudged} NOT JUDGED: out of time, see above`] : []),
        ...(this.holds ? [isWhole ? 'every rule held' : 'every rule held in that'] : []),
        '',
      ].join('\n'),
    )
  }

  /** Says something. */
  tell(...lines: readonly string[]): void {
    this.#print(lines.map((line) => `${line}\n`).join(''))
  }
}

function count(number: number): string {
  return number.toLocaleString('en-US')
}
