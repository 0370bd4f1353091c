import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { turn } from '../../../src/testing/turn.ts'
import type { Answer } from './driver.ts'
import type { Reply, Request } from './engine-process.ts'
import type { Call, Moment } from './operations.ts'

const program = fileURLToPath(new URL('engine-process.ts', import.meta.url))

/** A process of its own that has an LMDB log open. */
export class LmdbProcess {
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>
  #over = false
  #hear: (reply: Reply) => void = () => undefined
  #lastEpochs: readonly number[] = []

  private constructor(compileCache: string) {
    this.#child = fork(program, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, NODE_COMPILE_CACHE: compileCache },
    })
    this.#ended = once(this.#child, 'exit')
    this.#child.on('exit', () => {
      this.#over = true
      this.#hear({ kind: 'broken', reason: 'the process has ended' })
    })
    this.#child.on('message', (reply: Reply) => this.#hear(reply))
  }

  /** Starts a process that does nothing yet. Compiled code is kept in a folder, since most of a start is compiling. */
  static start(compileCache: string): LmdbProcess {
    return new LmdbProcess(compileCache)
  }

  /** Epochs of the claims, as last told. */
  get epochs(): readonly number[] {
    return this.#lastEpochs
  }

  ask(request: Request): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#hear = (reply) => {
        if (reply.kind === 'broken') return reject(new Error(reply.reason))
        if (reply.kind === 'answer') return
        this.#lastEpochs = reply.epochs
        resolve(reply.result)
      }
      this.#send(request)
    })
  }

  /** Makes calls that are in flight together, kills the process at a moment, and gives the answers that came by then. */
  async killInFlight(
    { nowMs, calls }: { readonly nowMs: number; readonly calls: readonly Call[] },
    moment: Moment,
  ): Promise<ReadonlyMap<number, Answer>> {
    const answers = new Map<number, Answer>()
    let over = false
    let broken: string | undefined
    const come = new Promise<void>((resolve) => {
      const look = () => {
        if (over || ('answers' in moment && answers.size >= moment.answers)) resolve()
      }
      this.#hear = (reply) => {
        if (reply.kind === 'answer') answers.set(reply.call, reply.answer)
        else over = true
        if (reply.kind === 'broken') broken = reply.reason
        look()
      }
      look()
    })
    this.#send({ kind: 'fly', nowMs, calls })
    if ('answers' in moment) await come
    else for (let passed = 0; passed < moment.turns && !over; passed += 1) await turn()
    if (broken !== undefined) throw new Error(broken)
    await this.kill()
    return answers
  }

  /** Ends the process with SIGKILL; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }

  #send(request: Request): void {
    if (this.#over) this.#hear({ kind: 'broken', reason: 'the process has ended' })
    else this.#child.send(request)
  }
}
