import type { RunningApp } from '../../../src/app/running.ts'
import { start } from '../../../src/app/start.ts'
import { isMillraceError } from '../../../src/core/errors.ts'
import type { SeededRandom } from '../../../src/testing/random.ts'
import type { StartFunction } from '../../../src/testing/simulated-process.ts'
import { epochMs } from '../../../src/testing/simulation.ts'

/** Something that a caller does wrong, and what it is to be told: an error's code, or `TypeError`. */
export type Mistake = readonly [told: string, make: (running: RunningApp) => unknown]

/** What a call may be told instead while the log fails, or the process stops. */
const instead = /^(STORAGE_FAILED|LOG_CLOSED|NOT_OWNER|OWNER_UNREACHABLE)$/

/** Callers who do something wrong in the midst of everything: each must be told so, and it must change nothing. */
export class Mistakes {
  readonly #mistakes: readonly Mistake[]
  #wrong: string[] = []

  constructor(mistakes: readonly Mistake[]) {
    this.#mistakes = mistakes
  }

  /** Makes some of them, one after the other. */
  async make(running: RunningApp, random: SeededRandom): Promise<void> {
    const first = random.below(this.#mistakes.length)
    for (const [expected, make] of this.#mistakes.slice(first, first + 8)) {
      const told = await toldOf(() => make(running))
      if (told !== expected && !instead.test(told))
        this.#wrong.push(`a caller is told ${told} instead of ${expected}: ${make.toString()}`)
    }
  }

  /** Forgets what was said in a course before. */
  begin(): void {
    this.#wrong = []
  }

  /** Throws when somebody was told something else. */
  check(): void {
    if (this.#wrong.length > 0) throw new Error(this.#wrong.join('\n'))
  }
}

/** Starts applications, and tells of the beginning of each course: one seed takes several, the second time and when it fails. */
export function startAnew(begin: () => void, startOne: StartFunction = start): StartFunction {
  return (app, options) => {
    if (options.runtime?.now() === epochMs) begin()
    return startOne(app, options)
  }
}

async function toldOf(call: () => unknown): Promise<string> {
  try {
    await call()
    return 'nothing'
  } catch (error) {
    return isMillraceError(error) ? error.code : error instanceof Error ? error.name : String(error)
  }
}
