import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { removeLeftovers } from './leftovers.ts'
import type { Plan, PlannedTask } from './plan.ts'
import type { TaskResult } from './tasks.ts'

const program = fileURLToPath(new URL('worker.ts', import.meta.url))

const endsWithinMs = 60_000

/** Options of {@link Pool}. */
export interface PoolOptions {
  readonly processes: number
  readonly goesOn: () => boolean
  readonly onResult: (result: TaskResult) => void
}

interface Worker {
  readonly child: ChildProcess
  /** Where all that it makes for a while is. */
  readonly folder: string
  /** Folders in there that are to be looked at. */
  readonly kept: Set<string>
}

/** Does tasks in several processes, each one at a time. */
export class Pool {
  readonly #plan: Plan
  readonly #options: PoolOptions
  readonly #workers: Worker[] = []
  #hasEnded = false

  constructor(plan: Plan, options: PoolOptions) {
    this.#plan = plan
    this.#options = options
  }

  /** Where the workers have what they make. */
  get folders(): readonly string[] {
    return this.#workers.map(({ folder }) => folder)
  }

  /** Resolves when there are no tasks left or `goesOn` says no; rejects when a worker fails. */
  async run(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.processes }, () => this.#work()))
  }

  /**
   * Ends the workers and all that they have started, wherever they are, and removes what they have made, but for the folders that are to
   * be looked at. Gives what it could not end or remove.
   */
  async end(): Promise<readonly string[]> {
    this.#hasEnded = true
    const left = this.#workers.map(({ child, folder, kept }) => {
      return removeLeftovers({ session: child.pid ?? -1, folder, kept: [...kept] })
    })
    return (await Promise.all(left)).flat()
  }

  async #work(): Promise<void> {
    const worker = start()
    const { child, kept } = worker
    this.#workers.push(worker)
    try {
      while (!this.#hasEnded && this.#options.goesOn()) {
        const planned = this.#plan.next()
        if (planned === undefined) break
        const result = await perform(child, planned)
        this.#plan.done(planned)
        for (const folder of result.kept ?? []) kept.add(folder)
        this.#options.onResult(result)
      }
      if (!this.#hasEnded) await letEnd(child)
    } finally {
      if (child.connected) child.disconnect()
    }
  }
}

/**
 * It leads a session of its own, so that all that it starts is known by that, and what a terminal sends to everybody comes to this process
 * alone, which ends the others.
 */
function start(): Worker {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-worker-'))
  // A server that is run as another user has its own folder in here.
  chmodSync(folder, 0o711)
  const child = fork(program, [folder], {
    env: { ...process.env, TMPDIR: folder, TEMP: folder, TMP: folder },
    // Most of what a simulation makes is gone when its seed is done.
    execArgv: ['-C', 'millrace-source', '--max-semi-space-size=64'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true,
  })
  return { child, folder, kept: new Set() }
}

/** In order: it may have to write down which code it has been through. */
async function letEnd(child: ChildProcess): Promise<void> {
  const closed = once(child, 'close')
  child.send('end')
  await Promise.race([closed, sleep(endsWithinMs, undefined, { ref: false })])
}

async function perform(child: ChildProcess, { task }: PlannedTask): Promise<TaskResult> {
  const ended = new AbortController()
  try {
    const closed = once(child, 'close', { signal: ended.signal }).then(([code, signal]) => {
      throw new Error(`a worker ended with ${code ?? signal} at ${JSON.stringify(task)}`)
    })
    child.send(task)
    const [result] = (await Promise.race([once(child, 'message', { signal: ended.signal }), closed])) as [
      TaskResult,
    ]
    return result
  } finally {
    ended.abort()
  }
}
