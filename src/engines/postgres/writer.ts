import type { Runtime } from '../../core/runtime.ts'
import type { RefusedEntry } from '../../log/port.ts'
import type { Connection, Connector } from './connection.ts'
import { Link } from './database.ts'
import { isConnectionLost, isPassing, outcomeUnknown, overloaded, toMillraceError } from './failures.ts'
import { MovingEntries } from './outbox/moving-entries.ts'
import type { PlannedPlace } from './planned-place.ts'
import { type Receipt, receiptIn } from './receipt.ts'
import type { Step } from './step.ts'
import { type Prepared, prepare, prepareAhead, type TransactionContext } from './transaction.ts'

/** What a writer tells its engine. */
export interface WriterHooks {
  /** Records are durable; called before those who wrote them are answered. */
  grown(places: readonly PlannedPlace[]): void
  /** So many ids were remembered. */
  remembered(ids: number): void
  /** Entries of the outbox were refused, and that is durable. */
  refused(entries: readonly RefusedEntry[]): void
  /** Whether all that waited in the outbox is moved. Where not, `move` must be called again after a moment. */
  moved(all: boolean): void
}

/** A transaction takes no further step when it has reached this size. */
const enoughBytes = 16 * 1024 * 1024
const enoughSteps = 8192
const mostWaitingBytes = 256 * 1024 * 1024
const mostWaitingSteps = 200_000
const firstWaitMs = 50
const longestWaitMs = 1000
/** More than a lock is waited for. What became of the transaction is found out on another connection. */
const answerTimeoutMs = 12_000
/** About fifteen seconds; fewer while it is known that the server is away. */
const attempts = { usually: 18, away: 3 } as const
/** Turns of the microtask queue: enough for callers that were just answered to come back with their next step. */
const turnsToGather = 16

/** Whether a transaction whose answer was lost holds. */
type Outcome = Receipt | 'not committed' | 'unknown'

/**
 * Writes what one process has to write: all that comes while a transaction is under way shares the next one. There is one at a
 * time, so what a process appends to a place is stored in the order of its calls.
 */
export class Writer {
  readonly #context: TransactionContext
  readonly #runtime: Runtime
  readonly #hooks: WriterHooks
  readonly #link: Link
  #waiting: Step[] = []
  #waitingBytes = 0
  /** Whether something may wait in the outbox. */
  #moves = false
  #running = false
  #whenIdle: (() => void)[] = []
  #batch = 0
  #away = false

  constructor(connector: Connector, context: TransactionContext, runtime: Runtime, hooks: WriterHooks) {
    this.#context = context
    this.#runtime = runtime
    this.#hooks = hooks
    this.#link = new Link(connector, answerTimeoutMs)
  }

  /** Makes the row by which this writer finds out what became of a transaction. */
  async begin(): Promise<void> {
    const connection = await this.#link.get()
    await connection.query('insert into writer (id, batch) values ($1, 0)', [this.#context.writerId])
  }

  /** Takes a step, which is settled by its own functions. Throws `OVERLOADED` when too much waits. */
  submit(step: Step): void {
    const isTooMuch = this.#waitingBytes + step.sizeBytes > mostWaitingBytes && this.#waiting.length > 0
    if (isTooMuch || this.#waiting.length >= mostWaitingSteps) throw overloaded(this.#context.where)
    this.#waiting.push(step)
    this.#waitingBytes += step.sizeBytes
    this.#start()
  }

  /** Moves what waits in the outbox into the log, in a transaction with what this process has to write. */
  move(): void {
    this.#moves = true
    this.#start()
  }

  #start(): void {
    if (this.#running) return
    this.#running = true
    this.#runtime.spawn('postgres writer', () => this.#run())
  }

  /** Resolves when no step waits or is being written. */
  idle(): Promise<void> {
    return this.#running ? new Promise((resolve) => this.#whenIdle.push(resolve)) : Promise.resolve()
  }

  /** Call it when idle. */
  async close(): Promise<void> {
    try {
      const connection = await this.#link.get()
      await connection.query('delete from writer where id = $1', [this.#context.writerId])
    } catch {
      // A row that stays is removed by others in a day.
    }
    await this.#link.close()
  }

  async #run(): Promise<void> {
    for (;;) {
      for (let turn = 0; turn < turnsToGather; turn += 1) await undefined
      const steps = this.#take()
      const moves = this.#moves
      this.#moves = false
      if (steps.length === 0 && !moves) break
      await this.#writeAll(steps, moves)
    }
    this.#running = false
    for (const resolve of this.#whenIdle.splice(0)) resolve()
  }

  #take(): Step[] {
    let bytes = 0
    let count = 0
    for (const { sizeBytes } of this.#waiting) {
      if (count >= enoughSteps || (count > 0 && bytes + sizeBytes > enoughBytes)) break
      bytes += sizeBytes
      count += 1
    }
    this.#waitingBytes -= bytes
    return this.#waiting.splice(0, count)
  }

  /** Settles every step: together where that is possible, else each by itself, so that none suffers for another. */
  async #writeAll(steps: readonly Step[], moves: boolean): Promise<void> {
    try {
      await this.#write(steps, moves)
    } catch (error) {
      if (moves) {
        this.#hooks.moved(false)
        if (steps.length === 0) return
      }
      const failure = toMillraceError(error, this.#context.where)
      if ((steps.length === 1 && !moves) || isConnectionLost(error) || failure === error) {
        for (const step of steps) step.reject(failure)
        return
      }
      for (const step of steps) await this.#writeAll([step], false)
    }
  }

  async #write(steps: readonly Step[], moves: boolean): Promise<void> {
    let waitMs = firstWaitMs
    for (let left = this.#away ? attempts.away : attempts.usually; ; left -= 1) {
      try {
        await this.#attempt(steps, moves)
        this.#away = false
        return
      } catch (error) {
        if (!isConnectionLost(error) && !isPassing(error)) throw error
        if (left <= 1) {
          this.#away = isConnectionLost(error)
          throw error
        }
      }
      await this.#runtime.sleep(waitMs)
      waitMs = Math.min(2 * waitMs, longestWaitMs)
    }
  }

  /** One attempt; when it throws, nothing of it holds, or it is an `UNREACHABLE` that says that this is not known. */
  async #attempt(steps: readonly Step[], moves: boolean): Promise<void> {
    const connection = await this.#link.get()
    this.#batch += 1
    if (!moves) {
      const prepared = await prepareAhead(connection, steps, this.#batch, this.#context)
      if (prepared !== undefined && (await this.#settle(prepared, []))) return
      this.#batch += 1
    }
    const { moving, prepared } = await this.#prepare(connection, steps, moves)
    if (prepared !== undefined) await this.#settle(prepared, moving?.refused ?? [])
    if (moving === undefined) return
    if (moving.hasMore) this.#moves = true
    else this.#hooks.moved(!moving.isBlocked)
  }

  /** Gives whether it is written. */
  async #settle(prepared: Prepared, refused: readonly RefusedEntry[]): Promise<boolean> {
    const receipt = await this.#commit(prepared)
    if (receipt === undefined) return false
    prepared.committed(receipt)
    this.#hooks.grown(prepared.grown)
    for (const { step, appended } of prepared.parts) step.resolve(appended)
    if (prepared.ids > 0) this.#hooks.remembered(prepared.ids)
    if (refused.length > 0) this.#hooks.refused(refused)
    return true
  }

  async #commit(prepared: Prepared): Promise<Receipt | undefined> {
    try {
      return await prepared.commit()
    } catch (error) {
      if (!isConnectionLost(error)) throw error
      const outcome = await this.#findOutcome()
      if (outcome === 'unknown') throw outcomeUnknown(this.#context.where, error)
      if (outcome === 'not committed') throw error
      return outcome
    }
  }

  async #prepare(connection: Connection, steps: readonly Step[], moves: boolean) {
    try {
      const moving = moves ? await MovingEntries.take(connection, this.#context.schema) : undefined
      return { moving, prepared: await prepare(connection, { steps, moving }, this.#batch, this.#context) }
    } catch (error) {
      if (!connection.isLost) await connection.query('rollback').catch(() => connection.close())
      throw error
    }
  }

  /**
   * The session that was lost may still be at it: then the row of the writer is locked until it has committed, or has not. Where what it
   * was sent has not arrived yet, it finds that it is too late.
   */
  async #findOutcome(): Promise<Outcome> {
    let waitMs = firstWaitMs
    for (let left = attempts.usually; left > 0; left -= 1) {
      try {
        const connection = await this.#link.get()
        const text =
          'update writer set fenced = $2 where id = $1 returning batch, ids_before, topic_ids, ends'
        const [row] = await connection.rows(text, [this.#context.writerId, this.#batch])
        this.#away = false
        if (row === undefined) return 'unknown'
        return Number(row.batch) === this.#batch ? receiptIn(row) : 'not committed'
      } catch {
        await this.#runtime.sleep(waitMs)
        waitMs = Math.min(2 * waitMs, longestWaitMs)
      }
    }
    this.#away = true
    return 'unknown'
  }
}
