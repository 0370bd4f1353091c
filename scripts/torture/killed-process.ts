import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Answer, ProcessArguments, Request } from './messages.ts'

const program = fileURLToPath(new URL('kill-process.ts', import.meta.url))
const keptCharacters = 2_000

/** A process of the application, as its parent sees it. */
export class KilledProcess {
  readonly #child: ChildProcess
  readonly #closed: Promise<unknown>
  #errors = ''

  constructor(
    given: ProcessArguments,
    onAnswer: (answer: Answer) => void,
    environment: Readonly<Record<string, string>> = {},
  ) {
    this.#child = fork(program, [JSON.stringify(given)], {
      env: { ...process.env, ...environment },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = `${this.#errors}${text}`.slice(-keptCharacters)
    })
    // A message that cannot be sent any more is one that the process never had.
    this.#child.on('error', () => {})
    this.#child.on('message', (answer: Answer) => onAnswer(answer))
    this.#closed = once(this.#child, 'close')
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** Resolves when it has ended and everything that it said was heard. */
  get closed(): Promise<unknown> {
    return this.#closed
  }

  /** What it wrote to standard error. */
  get errors(): string {
    return this.#errors.trim()
  }

  /** Whether it has ended. */
  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Whether it ended by itself, and badly. */
  get hasFailed(): boolean {
    return this.hasEnded && this.#child.exitCode !== 0 && !this.wasAborted
  }

  /** Whether LMDB ended it, whose message about a failed write may be longer than the memory that it has for it. */
  get wasAborted(): boolean {
    return this.#child.signalCode === 'SIGABRT' || this.#child.signalCode === 'SIGSEGV'
  }

  ask(request: Request): void {
    if (this.#child.connected) this.#child.send(request, () => {})
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#closed
  }
}
