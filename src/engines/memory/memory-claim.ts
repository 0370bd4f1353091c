import { isMillraceError } from '../../core/errors.ts'
import { notOwner } from '../../log/failures.ts'
import type { Appended, Change, Claim, KeyRange, KeyValue } from '../../log/port.ts'
import type { Ownership } from './group.ts'
import type { MemoryLog } from './memory-log.ts'
import type { AppendBounds } from './topic-log.ts'

/** What a claim needs of the engine that holds it. */
export interface ClaimHost {
  readonly log: MemoryLog
  readonly bounds: AppendBounds
  /** Counts a call that begins, so that closing waits for it; rejects with `LOG_CLOSED` when it is too late. */
  begin<Answer>(call: () => Promise<Answer>): Promise<Answer>
  /** Resolves when the half of a call that is named may happen; rejects with a fault where one is injected. */
  step(name: string): Promise<void>
}

/** One ownership as its holder sees it. */
export class MemoryClaim implements Claim {
  readonly group: string
  readonly partition: number
  readonly epoch: number
  readonly ownership: Ownership
  readonly #host: ClaimHost
  readonly #lost = new AbortController()
  /** Settle when the latest commit has been applied, and when it has been acknowledged. They never reject. */
  #applied: Promise<unknown> = Promise.resolve()
  #acknowledged: Promise<unknown> = Promise.resolve()
  #failure: { readonly error: unknown } | undefined

  constructor(host: ClaimHost, ownership: Ownership) {
    this.group = ownership.group
    this.partition = ownership.partition
    this.epoch = ownership.epoch
    this.ownership = ownership
    this.#host = host
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  /** Tells the holder that the claim is lost. */
  lose(cause?: unknown): void {
    if (!this.signal.aborted) this.#lost.abort(notOwner(this, cause))
  }

  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#ask('get', () => {
      const { values } = this.#host.log.stateOf(this.ownership)
      return keys.map((key) => values.get(key))
    })
  }

  range(query: KeyRange): Promise<readonly KeyValue[]> {
    return this.#ask('range', () => this.#host.log.stateOf(this.ownership).values.range(query))
  }

  commit(change: Change): Promise<readonly Appended[]> {
    return this.#host.begin(() => {
      const applied = this.#apply(this.#applied, change)
      this.#applied = settled(applied)
      const acknowledged = this.#acknowledge(this.#acknowledged, applied)
      this.#acknowledged = settled(acknowledged)
      return acknowledged
    })
  }

  #ask<Answer>(name: string, read: () => Answer): Promise<Answer> {
    return this.#host.begin(async () => {
      await this.#host.step(`${name}:apply`)
      const answer = this.#whileHeld(read)
      await this.#host.step(`${name}:acknowledge`)
      return answer
    })
  }

  async #apply(before: Promise<unknown>, change: Change): Promise<readonly Appended[]> {
    await before
    try {
      await this.#host.step('commit:apply')
      return this.#whileHeld(() => this.#host.log.commit(this.ownership, change, this.#host.bounds))
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  /** In call order too: a commit that is acknowledged tells that all before it hold. */
  async #acknowledge(
    before: Promise<unknown>,
    applied: Promise<readonly Appended[]>,
  ): Promise<readonly Appended[]> {
    const [answer] = await Promise.all([applied, before])
    if (this.#failure !== undefined) throw notOwner(this, this.#failure.error)
    try {
      await this.#host.step('commit:acknowledge')
    } catch (error) {
      this.#fail(error)
      throw error
    }
    return answer
  }

  #whileHeld<Answer>(act: () => Answer): Answer {
    if (this.signal.aborted) throw this.signal.reason
    try {
      return act()
    } catch (error) {
      if (isMillraceError(error, 'NOT_OWNER')) this.lose()
      throw error
    }
  }

  /** A failed commit leaves open what holds, so the claim ends and the partition is given anew. */
  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.#host.log.group(this.group).renew(this.ownership)
    this.lose(error)
  }
}

function settled(promise: Promise<unknown>): Promise<unknown> {
  return promise.catch(() => undefined)
}
