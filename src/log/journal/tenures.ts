import type { ClaimName } from './log-servers.ts'

/** One owner's use of a claim's local state, from its epoch value on. */
export interface Tenure {
  readonly epoch: number
  /** Aborted when a later owner of the same process waits for the state. */
  readonly revoked: AbortSignal
  /** Ends the use; the next owner goes on. */
  end(): void
}

interface Running {
  readonly epoch: number
  readonly revoke: () => void
  readonly ended: Promise<void>
}

/** Lets one owner of a process after the other use the local state of a claim: several members may be in one process. */
export class Tenures {
  readonly #running = new Map<string, Running>()

  /** Resolves once every earlier owner has ended; undefined where a later one has come already. */
  async begin({ group, partition }: ClaimName, epoch: number): Promise<Tenure | undefined> {
    const name = `${partition}/${group}`
    const before = this.#running.get(name)
    if (before !== undefined && before.epoch >= epoch) return undefined
    const revoked = new AbortController()
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const running = { epoch, revoke: () => revoked.abort(), ended }
    this.#running.set(name, running)
    before?.revoke()
    await before?.ended
    return {
      epoch,
      revoked: revoked.signal,
      end: () => {
        if (this.#running.get(name) === running) this.#running.delete(name)
        resolve()
      },
    }
  }
}
