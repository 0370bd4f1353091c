import { isMillraceError, MillraceError } from '../../core/errors.ts'
import { checkPartition, checkStateKey, notOwner, topicUnknown } from '../failures.ts'
import type { Appended, Change, Claim, KeyRange, KeyValue } from '../port.ts'
import type { StateMark, StateStore } from '../state-store.ts'
import { Checkpoints } from './checkpoints.ts'
import { encodeCommit, encodeJournalEntry, journalOverheadBytes, sizeOfCommit } from './journal-codec.ts'
import type { ClaimName, Journal, LogServers } from './log-servers.ts'
import type { Outbox } from './outbox.ts'
import type { Rebuilt } from './rebuild.ts'
import type { Tenure } from './tenures.ts'

/** The most bytes of one commit; a larger one is `COMMIT_TOO_LARGE`. */
export const maxCommitBytes = 64 * 1024 * 1024

/** What a claim needs of the engine that holds it. */
export interface ClaimHost {
  readonly servers: LogServers
  /** Counts a call that begins, so that closing waits for it; rejects with `LOG_CLOSED` when it is too late. */
  begin<Answer>(call: () => Promise<Answer>): Promise<Answer>
  /** Whether there is a topic; asks the servers only where it is not known to be there. */
  hasTopic(name: string): Promise<boolean>
  /** One of the claim's commits has failed: it is of no use any more, and is lost right behind this call. */
  ended(claim: JournaledClaim, error: unknown): void
  /** Runs a task in the background. */
  spawn(name: string, task: () => Promise<void>): void
  /** A checkpoint is due after so many bytes of journal, or as many as the last one had, whichever is more. */
  readonly journalBytes: number
}

/** What an owner has once it has taken a claim. */
export interface TakenClaim {
  readonly name: ClaimName
  readonly epoch: number
  readonly journal: Journal
  readonly store: StateStore
  readonly outbox: Outbox
  readonly rebuilt: Rebuilt
  readonly tenure: Tenure
}

/** A claim whose commits are values of a journal; see the protocol in `log-servers.ts`. */
export class JournaledClaim implements Claim {
  readonly group: string
  readonly partition: number
  readonly epoch: number
  readonly #host: ClaimHost
  readonly #taken: TakenClaim
  readonly #checkpoints: Checkpoints
  readonly #lost = new AbortController()
  /** The newest value of the journal, as far as this owner knows: the one that its next value must follow. */
  #tail: StateMark
  /** Everything up to here has been forwarded. */
  #forwarded: number
  /** Settles when the latest commit is in the journal, or has failed; never rejects. */
  #journaled: Promise<unknown> = Promise.resolve()
  /** Resolves when the latest commit is acknowledged, or has failed: whether all have been acknowledged. */
  #acknowledged: Promise<boolean> = Promise.resolve(true)
  #failure: { readonly error: unknown } | undefined
  #ended: Promise<void> | undefined

  constructor(host: ClaimHost, taken: TakenClaim) {
    this.group = taken.name.group
    this.partition = taken.name.partition
    this.epoch = taken.epoch
    this.#host = host
    this.#taken = taken
    this.#tail = taken.rebuilt.mark
    this.#forwarded = taken.rebuilt.mark.sequence
    taken.tenure.revoked.addEventListener('abort', () => this.#fail(notOwner(this)), { once: true })
    this.#checkpoints = new Checkpoints({
      ...taken,
      journalBytes: host.journalBytes,
      signal: this.signal,
      spawn: (name, task) => host.spawn(name, task),
    })
  }

  get signal(): AbortSignal {
    return this.#lost.signal
  }

  /** Tells the holder that the claim is lost. */
  lose(cause?: unknown): void {
    if (!this.signal.aborted) this.#lost.abort(notOwner(this, cause))
  }

  /** Resolves once nothing of a lost claim is under way any more, and its store is free. */
  end(): Promise<void> {
    this.#ended ??= this.#end()
    return this.#ended
  }

  async #end(): Promise<void> {
    await Promise.all([this.#journaled, this.#acknowledged, this.#checkpoints.idle])
    await this.#taken.store.close()
    this.#taken.tenure.end()
  }

  get(keys: readonly string[]): Promise<readonly (Uint8Array | undefined)[]> {
    return this.#ask((store) => store.get(keys))
  }

  range(query: KeyRange): Promise<readonly KeyValue[]> {
    return this.#ask((store) => store.range(query))
  }

  commit(change: Change): Promise<readonly Appended[]> {
    return this.#host.begin(() => {
      const journaled = this.#journal(this.#journaled, change)
      this.#journaled = journaled.catch(() => undefined)
      const acknowledged = this.#acknowledge(this.#acknowledged, journaled, change)
      this.#acknowledged = acknowledged.then(
        () => true,
        () => false,
      )
      return acknowledged
    })
  }

  #ask<Answer>(read: (store: StateStore) => Promise<Answer>): Promise<Answer> {
    return this.#host.begin(async () => {
      this.#checkHeld()
      const answer = await read(this.#taken.store)
      this.#checkHeld()
      return answer
    })
  }

  /** Puts a commit into the journal: it holds from then on. Gives where it stands. */
  async #journal(before: Promise<unknown>, change: Change): Promise<StateMark> {
    await before
    try {
      this.#checkHeld()
      await this.#check(change)
      const bytes = encodeCommit({ ...change, needs: change.needs ?? {} })
      if (bytes.length > maxCommitBytes) throw tooLarge(bytes.length, maxCommitBytes)
      const mark = await this.#append(bytes)
      this.#checkpoints.grown(bytes.length)
      return mark
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  /**
   * Forwards what a commit appends, and only then lets its state be seen: whoever reads it finds its effects. What comes last
   * tells of both, so it is forwarded behind that. In call order too, as a commit that is acknowledged tells that all
   * before it hold.
   */
  async #acknowledge(
    before: Promise<boolean>,
    journaled: Promise<StateMark>,
    change: Change,
  ): Promise<readonly Appended[]> {
    const [allBefore, { value: mark, reason }] = await Promise.all([before, outcomeOf(journaled)])
    if (mark === undefined) throw reason
    if (!allBefore) throw notOwner(this, this.#failure?.error)
    try {
      const { outbox, store } = this.#taken
      const appended = await outbox.forward(mark.sequence, change, () => store.apply(change, mark))
      this.#forwarded = mark.sequence
      this.#checkpoints.settled(mark)
      return appended
    } catch (error) {
      this.#fail(error)
      throw error
    }
  }

  /** What must be known before there is any effect. */
  async #check({ puts, deletes, appends }: Change): Promise<void> {
    const { servers } = this.#host
    const topics = new Set<string>()
    for (const { key } of puts) checkStateKey(key)
    for (const { topic, partition, value } of appends) {
      checkPartition(partition, servers.partitions)
      const { maxEntryBytes } = servers.limits
      if (value.length > maxEntryBytes) throw tooLarge(value.length, maxEntryBytes)
      topics.add(topic)
    }
    for (const topic of topics) if (!(await this.#host.hasTopic(topic))) throw topicUnknown(topic)
    const sizeBytes = sizeOfCommit({ puts, deletes, appends })
    if (sizeBytes > maxCommitBytes) throw tooLarge(sizeBytes, maxCommitBytes)
  }

  /** Appends a commit to the journal, in as many values as its size takes. It holds with the last of them. */
  async #append(bytes: Uint8Array): Promise<StateMark> {
    const room = this.#host.servers.limits.maxJournalBytes - journalOverheadBytes
    const parts = Math.max(1, Math.ceil(bytes.length / room))
    for (let part = 0; part < parts; part += 1) {
      const { value, checksum } = encodeJournalEntry({
        kind: 'commit',
        epoch: this.epoch,
        previous: this.#tail.sequence,
        chain: this.#tail.chain,
        forwarded: this.#forwarded,
        part,
        parts,
        bytes: bytes.subarray(part * room, (part + 1) * room),
      })
      const answer = await this.#taken.journal.append(value, this.#tail.sequence)
      if (!answer.stored) throw notOwner(this)
      this.#tail = { sequence: answer.sequence, chain: checksum }
    }
    return this.#tail
  }

  #checkHeld(): void {
    if (this.signal.aborted) throw this.signal.reason
  }

  /** A failed commit leaves open what holds, so the claim ends and the partition is taken anew. */
  #fail(error: unknown): void {
    if (this.#failure !== undefined) return
    this.#failure = { error }
    if (!this.signal.aborted) this.#host.ended(this, error)
    this.lose(isMillraceError(error, 'NOT_OWNER') ? undefined : error)
  }
}

async function outcomeOf<Answer>(
  promise: Promise<Answer>,
): Promise<{ readonly value?: Answer; readonly reason?: unknown }> {
  return promise.then(
    (value) => ({ value }),
    (reason: unknown) => ({ reason }),
  )
}

function tooLarge(sizeBytes: number, maxBytes: number): MillraceError {
  return new MillraceError('COMMIT_TOO_LARGE', `A commit with ${sizeBytes} bytes at once is too large.`, {
    fix: `Let handlers emit and set less in one step; ${maxBytes} bytes are the most here.`,
    facts: { sizeBytes, maxBytes },
  })
}
