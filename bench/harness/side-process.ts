import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Round, Settings } from './row.ts'
import type { Request } from './side.ts'

/** One side of one row, in a process of its own. */
export class SideProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = once(child, 'exit')
  }

  /** Brings a side up. */
  static async start(
    row: string,
    which: 'ours' | 'peer',
    settings: Settings,
    nodeOptions: readonly string[] = [],
  ): Promise<SideProcess> {
    const execArgv = [...process.execArgv, ...nodeOptions]
    const side = new SideProcess(fork(join(import.meta.dirname, 'side.ts'), [row, which], { execArgv }))
    await side.#ask({ ask: 'start', settings })
    return side
  }

  /** Measures once. */
  async round(): Promise<Round> {
    return (await this.#ask({ ask: 'round' })) as Round
  }

  /** Brings the side down and ends its process. */
  async stop(): Promise<void> {
    if (this.#child.exitCode !== null) return
    this.#child.send({ ask: 'stop' } satisfies Request)
    await this.#ended
  }

  async #ask(request: Request): Promise<unknown> {
    const answered = once(this.#child, 'message')
    const ended = this.#ended.then(() => {
      throw new Error(`the process of a side has ended with ${this.#child.exitCode}`)
    })
    ended.catch(() => {})
    this.#child.send(request)
    const [answer] = (await Promise.race([answered, ended])) as [{ value?: unknown; error?: string }]
    if (answer.error === undefined) return answer.value
    this.#child.kill('SIGKILL')
    throw new Error(answer.error)
  }
}
