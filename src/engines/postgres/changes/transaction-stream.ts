import type { FeedBatch, RowChange } from '../../../log/table-feed.ts'
import type { FollowedTable } from './followed-table.ts'
import { lsnOf } from './lsn.ts'
import type { StreamMessage, Tuple } from './replication-client.ts'

/** Where a stream stands: behind so many changes of a transaction, or behind all of it, which ends at `end`. */
export interface StreamPosition {
  /** Where the transaction was committed, which names it and orders it. */
  readonly commit: string
  readonly done: number
  readonly end?: string
}

interface Waiting {
  readonly changes: readonly RowChange[]
  readonly position: StreamPosition
}

/** How many changes wait before the stream is held up, and how many are given at once. */
const most = { waiting: 1000, given: 500 } as const

/** Makes batches of the messages of a stream: skips what is behind its position already, and holds the stream up when nobody takes. */
export class TransactionStream {
  readonly #table: FollowedTable
  /** Transactions that were committed before are among the rows that were read. */
  readonly #readUntil: bigint
  readonly #from: StreamPosition | undefined
  readonly #waiting: Waiting[] = []
  #commit = ''
  #timeMs = 0
  #done = 0
  #isOpen = false
  /** How many messages were taken. */
  #messages = 0
  #came = Promise.withResolvers<void>()
  #taken = Promise.withResolvers<void>()

  constructor(
    table: FollowedTable,
    { readUntil, from }: { readUntil: string; from: StreamPosition | undefined },
  ) {
    this.#table = table
    this.#readUntil = lsnOf(readUntil)
    this.#from = from
    this.#came.promise.catch(() => undefined)
  }

  /** Whether so many messages, as many as have been heard, were taken and given, and no transaction is in its middle. */
  isThrough(heard: number): boolean {
    return this.#messages === heard && this.#waiting.length === 0 && !this.#isOpen
  }

  /** Takes a message; resolves when the next one may come. */
  async take(message: StreamMessage): Promise<void> {
    this.#messages += 1
    if (message.tag === 'begin') {
      this.#commit = message.commitLsn ?? '0/0'
      this.#timeMs = Number(message.commitTime / 1000n)
      this.#done = 0
      this.#isOpen = true
    } else if (message.tag === 'commit') {
      this.#isOpen = false
      const end = message.commitEndLsn ?? this.#commit
      if (!this.#isBehind()) this.#add([], { commit: this.#commit, done: this.#done, end })
    } else if (
      message.tag === 'insert' ||
      message.tag === 'update' ||
      message.tag === 'delete' ||
      message.tag === 'truncate'
    ) {
      this.#done += 1
      if (!this.#isBehind()) this.#add(this.#changesOf(message), { commit: this.#commit, done: this.#done })
    }
    while (this.#waiting.length >= most.waiting) {
      this.#taken = Promise.withResolvers()
      await this.#taken.promise
    }
  }

  /** Resolves with what comes next; rejects once {@link fail} was called. */
  async next(signal: AbortSignal): Promise<FeedBatch & { readonly position: StreamPosition }> {
    const abort = Promise.withResolvers<never>()
    const onAbort = () => abort.reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    abort.promise.catch(() => undefined)
    try {
      for (;;) {
        signal.throwIfAborted()
        // A transaction comes as a whole: its end is waited for, unless it is a large one.
        const isOpen = this.#waiting.at(-1)?.position.end === undefined
        const given = isOpen && this.#waiting.length < most.given ? [] : this.#waiting.splice(0, most.given)
        this.#taken.resolve()
        const last = given.at(-1)
        if (last !== undefined)
          return { changes: given.flatMap(({ changes }) => changes), position: last.position }
        await Promise.race([this.#came.promise, abort.promise])
      }
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** The stream has ended: whoever waits is told, and so is who asks later. */
  fail(error: unknown): void {
    this.#came.reject(error)
    this.#came = Promise.withResolvers()
    this.#came.reject(error)
    this.#came.promise.catch(() => undefined)
    this.#taken.resolve()
  }

  #add(changes: readonly RowChange[], position: StreamPosition): void {
    this.#waiting.push({ changes, position })
    this.#came.resolve()
    this.#came = Promise.withResolvers()
    this.#came.promise.catch(() => undefined)
  }

  /** Whether what is read now is durable already. */
  #isBehind(): boolean {
    const commit = lsnOf(this.#commit)
    if (commit < this.#readUntil) return true
    if (this.#from === undefined) return false
    const from = lsnOf(this.#from.commit)
    if (commit !== from) return commit < from
    return this.#from.end !== undefined || this.#done <= this.#from.done
  }

  #changesOf(
    message: Extract<StreamMessage, { tag: 'insert' | 'update' | 'delete' | 'truncate' }>,
  ): RowChange[] {
    const made = { id: `${this.#commit}-${this.#done}`, timeMs: this.#timeMs }
    const change = (kind: RowChange['kind'], before: Tuple | null, after: Tuple | null) =>
      this.#table.changesOf({ kind, before: plain(before), after: plain(after) }, made)
    if (message.tag === 'insert') return change('inserted', null, message.new)
    if (message.tag === 'update' && message.old !== null) return change('updated', message.old, message.new)
    if (message.tag === 'delete' && message.old !== null) return change('deleted', message.old, null)
    const isTruncated = message.tag === 'truncate'
    const problem = isTruncated
      ? 'The table was truncated, and replication does not tell its rows.'
      : 'The row as it was is not known: the table has no longer REPLICA IDENTITY FULL.'
    const after = message.tag === 'update' ? plain(message.new) : null
    const key = after === null ? '' : this.#table.keyOf(after)
    return [
      { ...made, kind: message.tag === 'update' ? 'updated' : 'deleted', key, before: null, after, problem },
    ]
  }
}

function plain(tuple: Tuple | null): Tuple | null {
  return tuple === null ? null : { ...tuple }
}
