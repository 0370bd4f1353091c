import { fork } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import type { HttpLoad, HttpLoadDone } from './http-load.ts'
import type { Round } from './row.ts'

/** Puts load on servers, round after round, from one process of its own. */
export class HttpLoader {
  readonly #child = fork(join(import.meta.dirname, 'http-load.ts'))

  /** One round; its rate is that of events. Rejects when a request was refused. */
  async round(load: Omit<HttpLoad, 'prefix'>): Promise<Round> {
    const answered = once(this.#child, 'message')
    this.#child.send({ ...load, prefix: randomUUID().slice(0, 8) } satisfies HttpLoad)
    const [done] = (await answered) as [HttpLoadDone]
    if (done.failed !== undefined) throw new Error(`a request was refused: ${done.failed}`)
    const rate = (done.requests * load.batch * 1000) / done.elapsedMs
    return { figures: { rate }, generatorShare: done.cpuShare }
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    const ended = once(this.#child, 'exit')
    this.#child.disconnect()
    await ended
  }
}
